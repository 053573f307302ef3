"use strict";
// The page of a server: sound and text go to this server and nowhere else; texts are shown as texts, never as markup.

const $ = (id) => document.getElementById(id);
const state = { clip: null, model: null, recorder: null, asking: false };
const SVG = "http://www.w3.org/2000/svg";
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;

function fail(line) {
  $("error").textContent = line && line[0].toUpperCase() + line.slice(1);
  $("error").hidden = !line;
}

// ---- sound ----

function setClip(blob, name) {
  if (state.clip) URL.revokeObjectURL(state.clip.url);
  state.clip = blob && { blob, name, url: URL.createObjectURL(blob) };
  $("clip").hidden = !blob;
  if (blob) {
    $("clip-name").textContent = name;
    $("player").src = state.clip.url;
  } else {
    $("player").removeAttribute("src");
    $("file").value = "";
  }
  fail("");
}

function takeFile(file) {
  const limit = state.model?.limits.upload_bytes;
  if (limit && file.size > limit) {
    fail(`The file has ${(file.size / 1048576).toFixed(1)} MB: at most ${(limit / 1048576).toFixed(1)} MB are taken.`);
    return;
  }
  setClip(file, file.name);
}

// Browsers record formats that the server does not decode, so the samples are sent as WAV: 16 bits, one channel.
function asWav(buffer) {
  const count = buffer.length, bytes = new DataView(new ArrayBuffer(44 + 2 * count));
  const letters = (at, word) => [...word].forEach((letter, n) => bytes.setUint8(at + n, letter.charCodeAt(0)));
  letters(0, "RIFF"); bytes.setUint32(4, 36 + 2 * count, true); letters(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
  bytes.setUint32(24, buffer.sampleRate, true); bytes.setUint32(28, 2 * buffer.sampleRate, true);
  bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true); letters(36, "data"); bytes.setUint32(40, 2 * count, true);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, n) => buffer.getChannelData(n));
  for (let n = 0; n < count; n++) {
    const mean = channels.reduce((sum, channel) => sum + channel[n], 0) / channels.length;
    bytes.setInt16(44 + 2 * n, Math.round(32767 * Math.max(-1, Math.min(1, mean))), true);
  }
  return new Blob([bytes], { type: "audio/wav" });
}

async function startRecording() {
  if (!navigator.mediaDevices) {
    fail("This browser records on https or on localhost only. Choose a file instead.");
    return;
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    fail(error.name === "NotFoundError" ? "No microphone was found." : "The browser does not allow the microphone.");
    return;
  }
  const parts = [], recorder = new MediaRecorder(stream), began = Date.now();
  const button = $("record");
  const clock = setInterval(() => {
    const seconds = (Date.now() - began) / 1000;
    button.textContent = `Stop (${seconds.toFixed(0)} s)`;
    if (seconds >= (state.model?.limits.duration_s ?? 60) - 0.5) recorder.stop();
  }, 250);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = async () => {
    clearInterval(clock);
    stream.getTracks().forEach((track) => track.stop());
    state.recorder = null;
    button.textContent = "Record again";
    button.setAttribute("aria-pressed", "false");
    const context = new AudioContext();
    try {
      const heard = await context.decodeAudioData(await new Blob(parts).arrayBuffer());
      setClip(asWav(heard), `Recording, ${heard.duration.toFixed(1)} s`);
    } catch {
      fail("The recording is empty.");
    } finally {
      context.close();
    }
  };
  state.recorder = recorder;
  recorder.start();
  button.textContent = "Stop";
  button.setAttribute("aria-pressed", "true");
}

// ---- asking ----

async function request(address, options) {
  let reply;
  try {
    reply = await fetch(address, options);
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  const content = await reply.json().catch(() => null);
  if (reply.ok && content) return content;
  const wait = reply.headers.get("Retry-After");
  throw new Error((content?.error ?? `The server answers ${reply.status}.`) + (wait ? ` (in ${wait} s)` : ""));
}

async function ask(address, body, subject, people) {
  if (state.asking) return;
  state.asking = true;
  fail("");
  $("ask").disabled = true;
  $("result").classList.add("stale");
  $("status").hidden = false;
  $("status").textContent = "The model is asked …";
  try {
    show(await request(address, { method: "POST", body }), subject, people);
  } catch (error) {
    fail(error.message);
    $("status").textContent = $("result").hidden ? "No answer." : "No answer; the one before is below.";
  } finally {
    state.asking = false;
    $("ask").disabled = false;
    $("result").classList.remove("stale");
  }
}

function askForm() {
  const text = $("text").value.trim(), form = new FormData();
  if (!state.clip && !text) {
    fail(state.model?.hears === false ? "Type a text first." : "Choose or record a clip, or type a text, first.");
    return;
  }
  if (state.clip) form.append("audio", state.clip.blob, "clip");
  if (text) form.append("text", text);
  const named = state.clip ? state.clip.name : "";
  ask("v1/predict", form, [named, text && `“${text}”`].filter(Boolean).join(" · "), null);
}

// ---- the answer ----

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = content;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function bar(share, people) {
  const drawn = document.createElementNS(SVG, "svg"), two = people !== undefined;
  drawn.setAttribute("viewBox", `0 0 100 ${two ? 17 : 11}`);
  drawn.setAttribute("preserveAspectRatio", "none");
  drawn.setAttribute("aria-hidden", "true");
  if (two) drawn.setAttribute("class", "two");
  const add = (kind, width, y, height) => {
    const made = document.createElementNS(SVG, "rect");
    for (const [key, value] of Object.entries({ class: kind, width, y, height, x: 0 })) made.setAttribute(key, value);
    drawn.append(made);
  };
  add("track", 100, 0, two ? 17 : 11);
  add("model", 100 * share, 0, two ? 9 : 11);
  if (two) add("people", 100 * people, 10, 7);
  return drawn;
}

function row(name, share, answer, people) {
  const made = document.createElement("tr"), label = element("th", name, { scope: "row" });
  if (name === answer.top) made.className = "is-top";
  if (answer.never_trained.includes(name)) label.append(element("small", "never trained"));
  const cell = document.createElement("td"), number = element("td", percent(share));
  cell.append(bar(share, people?.[name]));
  if (people) number.append(element("small", `people ${percent(people[name])}`));
  made.append(label, cell, number);
  return made;
}

function show(answer, subject, example) {
  const shares = Object.entries(answer.distribution ?? {});
  $("result").hidden = false;
  $("status").textContent = answer.top
    ? `${answer.top} has the largest share: ${percent(answer.distribution[answer.top])}.`
    : `No distribution can be read from the response: ${answer.unparsed}.`;
  $("subject").textContent = subject;
  $("bars").hidden = !shares.length;
  $("caption").textContent = "Estimated share of people per class";
  $("rows").replaceChildren(...shares.map(([name, share]) => row(name, share, answer, example?.people)));
  $("legend").hidden = !example || !shares.length;
  const facts = [];
  if (answer.entropy_bits !== null) {
    facts.push(["Disagreement", `${answer.entropy_bits.toFixed(2)} of ${Math.log2(shares.length).toFixed(2)} bits`]);
  }
  if (answer.class_mass !== null) facts.push(["Class mass", percent(answer.class_mass)]);
  if (answer.windows > 1) facts.push(["Heard in", `${answer.windows} windows`]);
  if (example) {
    const votes = Object.entries(example.votes).filter(([, count]) => count).map(([name, count]) => `${name} ${+count.toFixed(2)}`);
    facts.push(["Votes of people", votes.join(", ")]);
  }
  $("facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  $("thoughts").hidden = !answer.reasoning && answer.distribution !== null;
  $("thoughts-title").textContent = answer.reasoning ? "Reasoning" : "Response";
  $("reasoning").textContent = answer.reasoning || answer.response;
  $("notes").replaceChildren(...[...answer.notes, answer.seen_in_training].filter(Boolean).map((note) => element("li", note)));
  $("answer").scrollIntoView({ block: "nearest" });
}

// ---- what the server has ----

function showModel(model) {
  state.model = model;
  const kind = model.hears ? "sound and text" : "texts";
  $("about").textContent = `${model.name} estimates how people would divide over ${model.classes.join(", ")}. It takes ${kind}.`;
  $("sound").hidden = !model.hears;
  $("text").maxLength = model.limits.text_characters;
  if (model.hears) {
    const size = (model.limits.upload_bytes / 1048576).toFixed(0);
    $("drop-hint").textContent = `or drop a clip here: at most ${size}\u00a0MB and ${model.limits.duration_s}\u00a0s`;
  } else {
    $("text-hint").textContent = "The text to judge. Ctrl+Enter asks.";
  }
}

function showExamples(examples) {
  $("examples").hidden = !examples.length;
  $("example-list").replaceChildren(...examples.map((example) => {
    const item = document.createElement("li"), button = element("button", "", { type: "button" });
    button.append(element("span", example.text ?? example.title));
    const votes = Object.values(example.votes).reduce((sum, count) => sum + count, 0);
    const kind = example.has_audio ? "clip" : "text";
    button.append(element("small", `${example.title} · ${kind} of the ${example.split} split · ${+votes.toFixed(2)} votes`));
    button.addEventListener("click", () => openExample(example));
    item.append(button);
    return item;
  }));
}

async function openExample(example) {
  $("text").value = example.text ?? "";
  setClip(null);
  if (example.has_audio) {
    const reply = await fetch(`v1/examples/${example.number}/audio`).catch(() => null);
    if (reply?.ok) setClip(await reply.blob(), example.title);
  }
  ask(`v1/examples/${example.number}/predict`, undefined, example.text ? `“${example.text}”` : example.title, example);
}

// ---- events ----

const overDrop = (event, over) => {
  event.preventDefault();
  $("drop").classList.toggle("over", over);
};
$("form").addEventListener("submit", (event) => { event.preventDefault(); askForm(); });
$("file").addEventListener("change", () => { if ($("file").files.length) takeFile($("file").files[0]); });
$("remove").addEventListener("click", () => { setClip(null); $("file").focus(); });
$("record").addEventListener("click", () => { state.recorder ? state.recorder.stop() : startRecording(); });
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); askForm(); }
});
for (const kind of ["dragenter", "dragover"]) $("drop").addEventListener(kind, (event) => overDrop(event, true));
$("drop").addEventListener("dragleave", (event) => overDrop(event, false));
$("drop").addEventListener("drop", (event) => {
  overDrop(event, false);
  if (event.dataTransfer.files.length) takeFile(event.dataTransfer.files[0]);
});
request("v1/model").then(showModel).catch((error) => fail(error.message));
request("v1/examples").then(showExamples).catch((error) => fail(error.message));
