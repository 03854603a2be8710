// Looks at the report from inside the browser. Contrast is that of text against what is behind it, by WCAG 2.1.
addEventListener("load", () => setTimeout(() => {
  const rgb = text => { const n = text.match(/[\d.]+/g).map(Number); return text.startsWith("color(srgb") ?
    [255 * n[0], 255 * n[1], 255 * n[2], n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1]; };
  const linear = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] > .99) return c; } return [255, 255, 255, 1]; };
  const faint = [];
  let seen = 0;
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !e.getClientRects().length || e.tagName === "SCRIPT") continue;
    const style = getComputedStyle(e), svg = e instanceof SVGElement;
    const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(behind(e))].sort((p, q) => q - p);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    seen += 1;
    if ((a + .05) / (b + .05) < (large ? 3 : 4.5)) faint.push([e.tagName, e.textContent.trim().slice(0, 30), (a + .05) / (b + .05)]);
  }
  const found = {
    faint, seen, width: document.documentElement.scrollWidth, window: innerWidth,
    images: [...document.images].map(i => [i.naturalWidth, i.alt.length]),
    drawings: [...document.querySelectorAll("svg")].map(s => [s.getBoundingClientRect().width, s.closest("[aria-label]")?.getAttribute("aria-label")]),
    bars: [...document.querySelectorAll(".histogram .bar")].map(b => b.getBoundingClientRect().height),
    wide: [...document.querySelectorAll("main > *, main section > *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
      .map(e => e.className || e.tagName),
    unnamed: [...document.querySelectorAll("button, input, a")].filter(e => !(e.textContent || e.closest("label")?.textContent)).length,
    turns: document.getElementById("scene-box")?.dataset.drawn ?? null,
  };
  document.documentElement.dataset.probe = btoa(unescape(encodeURIComponent(JSON.stringify(found))));
}, WAIT));
