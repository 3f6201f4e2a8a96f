"use strict";
// Figures as people read them.

const round = (number) => {
  if (number === 0) return "0";
  const digits = Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : 2;
  return number.toLocaleString("en", { maximumFractionDigits: digits });
};

const count = (number) => number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 });

const lasting = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 0.001) return `${round(seconds * 1e6)} µs`;
  if (size < 1) return `${round(seconds * 1e3)} ms`;
  if (size < 120) return `${round(seconds)} s`;
  if (size < 7200) return `${round(seconds / 60)} min`;
  if (size < 172800) return `${round(seconds / 3600)} h`;
  return `${round(seconds / 86400)} d`;
};

const bytes = (number) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (number >= 1024 && at < units.length - 1) {
    number /= 1024;
    at += 1;
  }
  return `${round(number)} ${units[at]}`;
};

const two = (number) => String(number).padStart(2, "0");

const clock = (seconds) => {
  const date = new Date(seconds * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
};

const day = (seconds) => {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(seconds)}`;
};

const words = (name) => name.replaceAll("_", " ");

// Elements, by what they hold.

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

const draw = (name, attributes = {}, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

const find = (id) => document.getElementById(id);

const list = (id, pairs) =>
  find(id).replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));

const bars = (id, rows) => {
  const most = Math.max(1, ...rows.map(([, value]) => value));
  const bar = ([name, value]) =>
    make(
      "li",
      value === 0 ? { class: "none" } : {},
      make("span", {}, name),
      make("progress", { max: most, value, "aria-hidden": "true" }),
      make("b", {}, count(value)),
    );
  find(id).replaceChildren(...rows.map(bar));
};

const table = (id, names, rows, empty) => {
  const head = make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
  const cell = (value, at) => make("td", { "data-name": names[at] }, value);
  const line = (row) => make("tr", {}, ...row.map(cell));
  const none = make("tr", {}, make("td", { class: "empty", colspan: names.length }, empty));
  find(id).replaceChildren(head, make("tbody", {}, ...(rows.length > 0 ? rows.map(line) : [none])));
};
