"use strict";
const byId = (id) => document.getElementById(id);
const rows = Array.from(document.querySelectorAll("#table tbody tr"));
const haystacks = rows.map((row) => row.textContent.toLowerCase());

function filter() {
  const words = byId("q").value.toLowerCase().split(/\s+/).filter(Boolean);
  const verdict = byId("v").value;
  let shown = 0;
  rows.forEach((row, i) => {
    const fits = (!verdict || row.dataset.verdict === verdict) && words.every((w) => haystacks[i].includes(w));
    row.hidden = !fits;
    byId(row.dataset.card).hidden = !fits;
    shown += fits;
  });
  byId("shown").textContent = shown === rows.length ? `${shown} curves` : `${shown} of ${rows.length} curves`;
  byId("none").hidden = shown > 0;
}

function sort(button, column) {
  const way = button.dataset.way === "1" ? -1 : 1;
  document.querySelectorAll("#table thead button").forEach((b) => { delete b.dataset.way; b.closest("th").removeAttribute("aria-sort"); });
  button.dataset.way = way;
  button.closest("th").setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
  const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const number = rows.every((row) => row.cells[column].dataset.sort !== undefined);
  const keyed = Array.from(byId("table").tBodies[0].rows, (row) => [key(row), row]);
  keyed.sort((a, b) => way * (number ? a[0] - b[0] : compare(a[0], b[0])));
  byId("table").tBodies[0].append(...keyed.map((pair) => pair[1]));
}

if (rows.length) {
  byId("q").addEventListener("input", filter);
  byId("v").addEventListener("change", filter);
  document.querySelector(".filter").addEventListener("submit", (event) => event.preventDefault());
  document.querySelectorAll("#table thead th").forEach((cell, column) => {
    const button = cell.querySelector("button");
    if (button) button.addEventListener("click", () => sort(button, column));
  });
  filter();
}

byId("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([byId("data").textContent], { type: "application/json" }));
  link.download = "audit.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

let opened = [];
addEventListener("beforeprint", () => {
  opened = Array.from(document.querySelectorAll("article:not([hidden]) details:not([open])"));
  if (rows.length <= 30) opened.forEach((d) => { d.open = true; });
});
addEventListener("afterprint", () => opened.forEach((d) => { d.open = false; }));
