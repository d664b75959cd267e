// Counts drains down, and reads the page again when /events says that something changed. Without it the page is complete.
"use strict";

const live = () => document.getElementById("live");
const connection = document.getElementById("connection");
/** How far the server's clock is ahead of this one, in milliseconds. */
let ahead = 0;
/** A time at which the page is read again; 0 if there is none. */
let due = 0;
let isReading = false;

function left(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  const [days, hours, minutes] = [86400, 3600, 60].map((unit) => Math.floor(seconds / unit));
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  if (minutes > 0) return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
  return `${seconds} s`;
}

function compareClocks() {
  ahead = Date.parse(live().dataset.now) - Date.now();
}

function tick() {
  const now = Date.now() + ahead;
  for (const time of document.querySelectorAll("time[data-ends]")) {
    const rest = Date.parse(time.dateTime) - now;
    const text = rest > 0 ? `${left(rest)} left` : "ended";
    if (time.nextElementSibling.textContent !== text) time.nextElementSibling.textContent = text;
    if (rest <= 0) soon(1000);
  }
  if (due > 0 && Date.now() >= due && !isReading) read();
}

/** Many changes at once are one reading. */
function soon(milliseconds) {
  if (due === 0) due = Date.now() + milliseconds;
}

async function read() {
  isReading = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-cache" });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    live().replaceWith(document.adoptNode(page.getElementById("live")));
    compareClocks();
    due = 0;
  } catch {
    due = Date.now() + 5000;
  }
  isReading = false;
}

function follow() {
  const events = new EventSource("/events");
  events.onopen = () => {
    connection.textContent = "Changes appear by themselves.";
  };
  events.onerror = () => {
    connection.textContent = "Not connected; trying again.";
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  };
  for (const kind of ["published", "draining", "drained", "restored", "withdrawn", "reset"]) {
    events.addEventListener(kind, () => soon(500));
  }
}

compareClocks();
tick();
setInterval(tick, 1000);
follow();
