"use strict";
// Shows what a box or a bar stands for. All text comes out of the table, as text.
const tip = document.getElementById("tip");
const most = 600;

const all = (selector) => Array.from(document.querySelectorAll(selector));
const rowOf = (number) => document.querySelector(`[data-row="${number}"]`);
const brief = (text) => (text.length > most ? text.slice(0, most) + "…" : text);

function words(cell) {
  const whole = cell.querySelector("details");
  if (!whole) return cell.textContent;
  return Array.from(whole.childNodes).filter((node) => node.nodeName !== "SUMMARY").map((node) => node.textContent).join("");
}

function say(target) {
  tip.replaceChildren();
  if (target.dataset.text) {
    tip.textContent = target.dataset.text;
    return true;
  }
  const row = rowOf(target.dataset.step);
  if (!row) return false;
  const cells = Array.from(row.cells);
  const heads = Array.from(row.closest("table").tHead.rows[0].cells, (cell) => cell.textContent);
  const title = document.createElement("b");
  title.textContent = cells.slice(0, 2).map((cell) => cell.textContent).join(" ");
  tip.append(title, ` ${cells[2].textContent}`);
  const times = cells.slice(5).map((cell, place) => (cell.textContent ? `${heads[place + 5]} ${cell.textContent}` : ""));
  if (times.some(Boolean)) tip.append(`, ${times.filter(Boolean).join(", ")}`);
  for (const cell of cells.slice(3, 5)) {
    const text = words(cell);
    if (!text) continue;
    const part = document.createElement("span");
    part.className = "value";
    part.textContent = brief(text);
    tip.append(part);
  }
  return true;
}

function clear() {
  tip.hidden = true;
  for (const node of all(".lit")) node.classList.remove("lit");
  for (const node of all(".near")) node.classList.remove("near");
}

function show(target, x, y) {
  clear();
  if (!say(target)) return;
  const number = target.dataset.step;
  if (number !== undefined) {
    for (const node of all(`[data-step="${number}"]`)) node.classList.add("lit");
    const wires = all(`[data-from="${number}"], [data-to="${number}"]`);
    for (const wire of wires) {
      wire.classList.add("lit");
      wire.closest(".graph").classList.add("near");
    }
  }
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const right = x + 16 + width < innerWidth ? x + 16 : Math.max(4, x - width - 16);
  const below = y + 16 + height < innerHeight ? y + 16 : Math.max(4, y - height - 16);
  tip.style.setProperty("left", `${right}px`);
  tip.style.setProperty("top", `${below}px`);
}

for (const title of all("g > title")) title.remove();
for (const node of all("[data-step], [data-text]")) {
  node.addEventListener("mouseenter", (event) => show(node, event.clientX, event.clientY));
  node.addEventListener("mouseleave", clear);
  node.addEventListener("focus", () => {
    const box = node.getBoundingClientRect();
    show(node, box.right, box.bottom);
  });
  node.addEventListener("blur", clear);
  node.addEventListener("click", () => {
    const row = rowOf(node.dataset.step);
    if (!row) return;
    clear();
    row.classList.add("lit");
    row.scrollIntoView({ block: "center", behavior: "smooth" });
  });
}
document.addEventListener("keydown", (event) => event.key === "Escape" && clear());
