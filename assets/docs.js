// Sends the requests that somebody tries, and shows the answers as text.
"use strict";

/** How much of an answer is shown, and how long an endless one is read. */
const [LIMIT, PATIENCE] = [20000, 5000];

function target(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("input")) {
    if (field.dataset.in === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
    else if (field.value !== "") query.set(field.name, field.value);
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

async function body(answer) {
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("image/")) return `${(await answer.arrayBuffer()).byteLength} bytes`;
  const [reader, decoder, end] = [answer.body.getReader(), new TextDecoder(), Date.now() + PATIENCE];
  let text = "";
  while (text.length < LIMIT && Date.now() < end) {
    const wait = new Promise((resolve) => setTimeout(() => resolve({ done: true }), end - Date.now()));
    const { done, value } = await Promise.race([reader.read(), wait]);
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  reader.cancel();
  if (text.length >= LIMIT) return `${text.slice(0, LIMIT)}\n…`;
  return type.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
}

async function send(form) {
  const shown = document.createElement("pre");
  shown.tabIndex = 0;
  const path = target(form);
  shown.textContent = `GET ${path}\n`;
  form.parentElement.querySelector("output").replaceChildren(shown);
  try {
    const answer = await fetch(path, { headers: { accept: "application/json, */*;q=0.5" } });
    const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    shown.textContent += `\n${answer.status} ${answer.statusText}\n${headers}\n`;
    shown.textContent += `\n${await body(answer)}`;
  } catch (error) {
    shown.textContent += `\n${error}`;
  }
}

for (const form of document.querySelectorAll(".try form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
