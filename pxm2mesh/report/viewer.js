// Turns the sample: nothing is unpacked or drawn before someone asks for it. WebGL 2, no library.
(() => {
  const box = document.getElementById("scene-box"), button = document.getElementById("scene-start");
  if (!box || !button || !("DecompressionStream" in window)) { if (button) button.hidden = true; return; }
  const vertex = `#version 300 es
    in vec3 at; uniform mat4 turn; uniform vec3 middle; out vec3 place;
    void main() { place = (turn * vec4(at - middle, 0.)).xyz;
      gl_Position = vec4(place.xy * turn[3].xy, place.z * -.3, 1.); }`;
  const fragment = `#version 300 es
    precision highp float; in vec3 place; uniform vec3 colour; out vec4 shown;
    void main() { vec3 n = normalize(cross(dFdx(place), dFdy(place)));
      float light = .36 + .62 * max(dot(n, normalize(vec3(.25, .5, 1.))), 0.) + .34 * max(dot(n, normalize(vec3(-.9, .1, .45))), 0.);
      shown = vec4(colour * min(light, 1.2), 1.); }`;
  const unpack = async () => {
    const raw = Uint8Array.from(atob(document.getElementById("scene-data").textContent.trim()), c => c.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    const data = await new Response(stream).arrayBuffer();
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    let at = 4 + Math.ceil(length / 4) * 4;
    for (const part of head.parts) {
      part.at = new Uint16Array(data, at, 3 * part.points); at += Math.ceil(6 * part.points / 4) * 4;
      part.of = new Uint32Array(data, at, 3 * part.triangles); at += 12 * part.triangles;
    }
    return head;
  };
  const start = async () => {
    button.disabled = true;
    const canvas = document.createElement("canvas"), gl = canvas.getContext("webgl2", { antialias: true, alpha: true });
    if (!gl) { button.textContent = "This browser draws no 3-D"; return; }
    const scene = await unpack(), still = box.querySelector("img");
    canvas.style.aspectRatio = `${still.width} / ${still.height}`;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", still.alt + " It turns with the arrow keys and zooms with plus and minus.");
    still.replaceWith(canvas);
    button.remove();
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text); gl.compileShader(shader); gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "at");
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    const where = name => gl.getUniformLocation(program, name);
    for (const part of scene.parts) {
      part.array = gl.createVertexArray();
      gl.bindVertexArray(part.array);
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, part.at, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(0);
      gl.vertexAttribPointer(0, 3, gl.UNSIGNED_SHORT, true, 0, 0);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, part.of, gl.STATIC_DRAW);
      part.rgb = [1, 3, 5].map(i => parseInt(part.colour.slice(i, i + 2), 16) / 255);
      part.shown = true;
    }
    gl.enable(gl.DEPTH_TEST);
    let around = .89, above = .48, zoom = 1.22, due = false;
    const draw = () => {
      due = false;
      const ratio = Math.min(devicePixelRatio || 1, 2);
      canvas.width = canvas.clientWidth * ratio; canvas.height = canvas.clientHeight * ratio;
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      const [c, s, d, e] = [Math.cos(around), Math.sin(around), Math.cos(above), Math.sin(above)];
      const aspect = canvas.width / canvas.height, [kx, ky] = aspect > 1 ? [1 / aspect, 1] : [1, aspect];
      // rows: to the right, up, towards the eye; the last column carries the scale of the picture
      gl.uniformMatrix4fv(where("turn"), false, [-s, -c * e, c * d, 0, c, -s * e, s * d, 0, 0, d, e, 0, zoom * kx, zoom * ky, 0, 1]);
      gl.uniform3fv(where("middle"), scene.box.map(edge => edge / 2));
      for (const part of scene.parts) if (part.shown) {
        gl.uniform3fv(where("colour"), part.rgb);
        gl.bindVertexArray(part.array);
        gl.drawElements(gl.TRIANGLES, 3 * part.triangles, gl.UNSIGNED_INT, 0);
      }
      box.dataset.drawn = scene.parts.filter(part => part.shown).length;
    };
    const soon = () => { if (!due) { due = true; requestAnimationFrame(draw); } };
    const turn = (dx, dy) => { around -= dx; above = Math.max(-1.55, Math.min(1.55, above + dy)); soon(); };
    const scale = by => { zoom = Math.max(.5, Math.min(8, zoom * by)); soon(); };
    const fingers = new Map();
    canvas.addEventListener("pointerdown", e => { canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, e); });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, e => fingers.delete(e.pointerId));
    canvas.addEventListener("pointermove", e => {
      const before = fingers.get(e.pointerId);
      if (!before) return;
      if (fingers.size === 2) {
        const other = [...fingers.values()].find(f => f.pointerId !== e.pointerId);
        const far = f => Math.hypot(f.clientX - other.clientX, f.clientY - other.clientY) || 1;
        scale(far(e) / far(before));
      } else turn((e.clientX - before.clientX) / 130, (e.clientY - before.clientY) / 130);
      fingers.set(e.pointerId, e);
    });
    canvas.addEventListener("wheel", e => { e.preventDefault(); scale(Math.exp(-e.deltaY / 600)); }, { passive: false });
    canvas.addEventListener("keydown", e => {
      const step = { ArrowLeft: [-.12, 0], ArrowRight: [.12, 0], ArrowUp: [0, -.12], ArrowDown: [0, .12] }[e.key];
      if (step) { e.preventDefault(); turn(...step); }
      if (e.key === "+" || e.key === "-") scale(e.key === "+" ? 1.15 : 1 / 1.15);
    });
    const choice = document.createElement("div");
    choice.className = "choice";
    for (const part of scene.parts) {
      const label = document.createElement("label"), check = document.createElement("input");
      check.type = "checkbox"; check.checked = true;
      check.addEventListener("change", () => { part.shown = check.checked; soon(); });
      label.append(check, " " + part.name);
      choice.append(label);
    }
    canvas.after(choice);
    new ResizeObserver(soon).observe(canvas);
    draw();
  };
  button.hidden = false;
  button.addEventListener("click", () => start().catch(error => { button.textContent = "3-D does not work here"; console.error(error); }));
})();
