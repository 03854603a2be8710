/* Browsers start no workers for pages that are opened from disk: the search then runs in a hidden frame. */
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.frame = frame;
      this.waiting = [];
      this.onmessage = this.onerror = null;
      const inner = frame.contentWindow;
      inner.importScripts = (...urls) => urls.reduce((before, src) => before.then(() => new Promise((done, fail) => {
        const script = inner.document.createElement("script");
        script.src = src;
        script.onload = done;
        script.onerror = fail;
        inner.document.body.append(script);
      })), Promise.resolve());
      inner.postMessage = data => {
        const event = new MessageEvent("message", { data });
        if (this.onmessage) this.onmessage(event);
        this.dispatchEvent(event);
      };
      inner.addEventListener("error", error => this.onerror && this.onerror(error));
      inner.importScripts(url).then(() => {
        this.ready = true;
        this.waiting.splice(0).forEach(data => this.postMessage(data));
      });
    }
    postMessage(data) {
      if (this.ready) this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
      else this.waiting.push(data);
    }
    terminate() { this.frame.remove(); }
  };
}
