"use strict";

// Every text goes in as text: what a server or a file says is never markup.
const byId = (id) => document.getElementById(id);
const units = ["B", "kB", "MB", "GB", "TB"];
const colours = {
  joining: "warn", joined: "warn", ready: "good", training: "busy", uploading: "busy",
  declined: "warn", away: "bad", evicted: "bad", refused: "bad",
};
const korean = {
  joining: "가입 중", joined: "쉬는 중", ready: "준비", training: "학습 중", uploading: "보내는 중",
  declined: "거절함", away: "연결 끊김", evicted: "제외됨", refused: "가입 거부됨",
};

function size(bytes) {
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

function element(tag, text, kind) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const cell = (text, kind) => element("td", text === null || text === undefined ? "–" : String(text), kind);

function row(cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function fill(id, rows, columns) {
  const none = element("td", "nothing yet · 아직 없음", "none");
  none.colSpan = columns;
  byId(id).replaceChildren(...(rows.length ? rows : [row([none])]));
}

function clientRow(client) {
  const state = document.createElement("td");
  state.append(element("span", `${client.state} · ${korean[client.state] ?? ""}`, `state ${colours[client.state] ?? ""}`));
  const round = client.round === null ? null : `${client.round} / ${client.rounds ?? "?"}`;
  return row([
    cell(client.client), state, cell(client.job), cell(round), cell(client.version),
    cell(client.tally.rounds, "number"), cell(client.tally.examples, "number"),
    cell(size(client.bytes_left_total), "number"), cell(client.last_error, "text"),
  ]);
}

// What is not told has a dash.
function labels(told) {
  if (told?.classes) return Object.entries(told.classes).map(([name, rows]) => `${name}: ${rows}`).join(", ");
  if (!told?.number) return null;
  const { mean, quantiles, rows } = told.number;
  const figure = (value) => Number(value.toPrecision(4));
  const shares = ["5", "25", "50", "75", "95"];
  return `${rows} rows, mean ${figure(mean)}; ${shares.map((share, i) => `${share} %: ${figure(quantiles[i])}`).join(", ")}`;
}

function sharedRow({ client, shared, withheld }) {
  const said = withheld ? `not told: ${withheld} · 알리지 않음` : labels(shared.labels);
  return row([cell(client), cell(shared.rows, "number"), cell(said, "text")]);
}

function leftRow({ client, left }) {
  const digest = cell(`${left.sha256.slice(0, 16)}…`, "digest");
  digest.title = left.sha256;
  return row([
    cell(new Date(left.at).toLocaleString()), cell(client), cell(left.kind), cell(left.task),
    cell(size(left.bytes), "number"), digest,
  ]);
}

function badge(text, kind) {
  const link = byId("link");
  link.textContent = text;
  link.className = `badge ${kind}`;
}

function show(status) {
  badge(status.online ? "online · 연결됨" : "offline · 연결 안 됨", status.online ? "good" : "bad");
  for (const fact of ["federation", "server", "recipe"]) byId(fact).textContent = status[fact];
  const { journal } = status;
  byId("journal").textContent = journal ? `${journal.sequence} · ${journal.hash.slice(0, 12)}…` : "–";
  byId("total").textContent = size(status.clients.reduce((sum, client) => sum + client.bytes_left_total, 0));
  byId("alarm").hidden = !status.journal_problem;
  byId("alarm").textContent = status.journal_problem ?? "";
  fill("clients", status.clients.map(clientRow), 9);
  fill("shared", status.clients.map(sharedRow), 3);
  const left = status.clients.flatMap(({ client, left }) => left.map((one) => ({ client, left: one })));
  left.sort((a, b) => (a.left.at < b.left.at ? 1 : a.left.at > b.left.at ? -1 : 0));
  fill("left", left.slice(0, 40).map(leftRow), 6);
}

async function refresh() {
  try {
    const answer = await fetch("/status.json", { cache: "no-store" });
    show(await answer.json());
  } catch {
    badge("the agent is stopped · 에이전트 정지", "bad");
  }
  setTimeout(refresh, 2000);
}

refresh();
