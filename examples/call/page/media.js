// What is sent: camera and microphone, or else a picture that is drawn here.

// Resolves to a stream and a sentence that says what it is.
export async function openMedia() {
  if (!navigator.mediaDevices) {
    return {
      stream: drawn(),
      what: "You, without camera: browsers give it to https:// and localhost only",
    };
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: true,
      video: { width: { ideal: 640 }, height: { ideal: 480 } },
    });
    return { stream, what: "You" };
  } catch (error) {
    return { stream: drawn(), what: `You, a drawn picture instead of a camera: ${why(error)}` };
  }
}

function why(error) {
  switch (error.name) {
    case "NotAllowedError": return "it was not allowed; the lock in the address bar changes that";
    case "NotFoundError": return "none was found";
    case "NotReadableError": return "another program uses it";
    default: return error.message;
  }
}

// A moving picture, so that one sees whether it moves on the other side.
function drawn() {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 480;
  const context = canvas.getContext("2d");
  const draw = () => {
    const now = new Date();
    context.fillStyle = "#0b3a66";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = "#ffffff";
    context.font = "48px sans-serif";
    context.textAlign = "center";
    context.fillText(now.toLocaleTimeString(), 320, 200);
    const angle = (now.getTime() / 1000) * Math.PI;
    context.beginPath();
    context.arc(320 + 80 * Math.cos(angle), 330 + 80 * Math.sin(angle), 20, 0, 2 * Math.PI);
    context.fill();
  };
  draw();
  const timer = setInterval(draw, 50);
  const stream = canvas.captureStream(20);
  const [track] = stream.getVideoTracks();
  const stop = track.stop.bind(track);
  track.stop = () => {
    clearInterval(timer);
    stop();
  };
  return stream;
}
