// The WebSocket to the server that this page came from: room, descriptions, candidates.

export class Signalling extends EventTarget {
  #socket;

  // Resolves once messages can be sent.
  async open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/room`);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
    });
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve, { once: true });
      socket.addEventListener("close", () => reject(new Error("The signalling server does not answer; is turn-call running?")), { once: true });
    });
    socket.addEventListener("close", () => {
      if (this.#socket === socket) this.dispatchEvent(new CustomEvent("lost"));
    });
  }

  send(type, fields = {}) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ type, ...fields }));
    }
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
