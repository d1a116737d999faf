// Wires the page: controls, signalling, one call at a time.
//
// `?room=blue&relay` in the address joins at once, so that a link can be sent.

import { Call } from "./call.js";
import { CandidateList } from "./candidates.js";
import { Figures } from "./figures.js";
import { openMedia } from "./media.js";
import { Signalling } from "./signalling.js";

const REPORT_MS = 5000;

const $ = (id) => document.getElementById(id);
const status = (text) => { $("status").textContent = text; };

// Each problem once, the latest last.
const problems = {
  add(text) {
    const known = [...$("problems").children].some((item) => item.textContent === text);
    if (known) return;
    const item = document.createElement("li");
    item.textContent = text;
    $("problems").append(item);
    while ($("problems").children.length > 20) $("problems").firstChild.remove();
  },
  clear() { $("problems").replaceChildren(); },
};

const candidates = new CandidateList($("candidates"), $("gathering"), problems);
const figures = new Figures({
  state: $("state"), local: $("pair-local"), remote: $("pair-remote"),
  roundTrip: $("round-trip"), received: $("received"), sent: $("sent"),
}, report);

let signalling = null;
let call = null;
let media = null;
let iceServers = [];
let reported = 0;

async function join() {
  leave();
  problems.clear();
  $("join").disabled = true;
  $("leave").disabled = false;
  status("Opening camera and microphone ...");
  const mine = new Signalling();
  signalling = mine;
  try {
    media = await openMedia();
    $("local").srcObject = media.stream;
    $("local-caption").textContent = media.what;
    await mine.open();
  } catch (error) {
    if (signalling === mine) end(error.message);
    return;
  }
  if (signalling !== mine) return mine.close();
  listen(mine);
  status("Joining ...");
  mine.send("join", { room: $("room").value });
}

function listen(signalling) {
  const on = (type, act) => signalling.addEventListener(type, ({ detail }) => act(detail));
  on("joined", (message) => {
    iceServers = message.iceServers;
    status("In the room. Waiting for the other side ...");
    // Who comes second offers.
    if (message.others) start(signalling, { polite: false });
  });
  on("peer-joined", () => status("The other side is here. Connecting ..."));
  on("offer", (message) => {
    if (!call) start(signalling, { polite: true });
    call.take(message);
  });
  on("answer", (message) => call?.take(message));
  on("candidate", (message) => call?.take(message));
  on("peer-left", () => {
    hangUp();
    status("The other side has left. Waiting for the next one ...");
  });
  on("error", ({ text }) => {
    problems.add(text);
    if (!call) end("Not in a room.");
  });
  on("lost", () => end("The connection to the signalling server is lost. Join again."));
}

function start(signalling, { polite }) {
  hangUp();
  status("Connecting ...");
  call = new Call(signalling, iceServers, media.stream, {
    polite,
    relayOnly: $("relay-only").checked,
  });
  const { pc } = call;
  candidates.watch(pc);
  figures.watch(pc);
  call.addEventListener("problem", ({ detail }) => problems.add(detail));
  pc.addEventListener("track", ({ streams: [stream] }) => { $("remote").srcObject = stream; });
  pc.addEventListener("connectionstatechange", () => {
    const text = {
      connected: "Connected.",
      disconnected: "Interrupted. Waiting whether it comes back ...",
      failed: "No way to the other side was found. Candidates and problems on both sides tell why.",
    }[pc.connectionState];
    if (text) status(text);
    if (pc.connectionState === "connected") $("remote-caption").textContent = "The other side";
  });
}

function hangUp() {
  call?.close();
  call = null;
  reported = 0;
  figures.stop();
  $("remote").srcObject = null;
  $("remote-caption").textContent = "The other side: nobody yet";
}

function leave() {
  if (!signalling) return;
  signalling.send("leave");
  end("Not in a room.");
}

function end(text) {
  hangUp();
  signalling?.close();
  signalling = null;
  for (const track of media?.stream.getTracks() ?? []) track.stop();
  media = null;
  $("local").srcObject = null;
  $("join").disabled = false;
  $("leave").disabled = true;
  status(text);
}

// The terminal of turn-call says how calls do: once the picture is there, and every few seconds.
function report({ local, remote, protocol, bytesReceived, bytesSent, roundTripMs, frames, width, height }) {
  if (frames === 0 || performance.now() - reported < REPORT_MS) return;
  reported = performance.now();
  signalling?.send("report", {
    local, remote, protocol, bytesReceived, bytesSent, roundTripMs, width, height,
    candidates: candidates.count,
  });
}

$("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  join();
});
$("leave").addEventListener("click", leave);
$("relay-only").addEventListener("change", ({ target }) => call?.relayOnly(target.checked));
window.addEventListener("pagehide", leave);

const wish = new URLSearchParams(location.search);
if (wish.has("relay")) $("relay-only").checked = true;
if (wish.has("room")) {
  $("room").value = wish.get("room");
  join();
}
