// Small conveniences. Every page works without them but for what htmx polls.
(() => {
  "use strict";

  // --- Relative times stay true while a page is open; the words are those of the server. ---
  const MINUTE = 60, HOUR = 3600, DAY = 86400;

  function rough(seconds) {
    if (seconds < 55 * MINUTE) return `${Math.max(1, Math.round(seconds / MINUTE))} min`;
    if (seconds < 23.5 * HOUR) return `${Math.max(1, Math.round(seconds / HOUR))} h`;
    const days = Math.max(1, Math.round(seconds / DAY));
    return days === 1 ? "1 day" : `${days} days`;
  }

  function relative(moment) {
    const seconds = (moment - Date.now()) / 1000;
    if (Math.abs(seconds) >= 30 * DAY) return null;
    if (Math.abs(seconds) < 45) return seconds <= 0 ? "just now" : "in a moment";
    return seconds > 0 ? `in ${rough(seconds)}` : `${rough(-seconds)} ago`;
  }

  function refreshTimes() {
    for (const element of document.querySelectorAll("time[data-relative]")) {
      const words = relative(Date.parse(element.dateTime));
      if (words && words !== element.textContent) element.textContent = words;
    }
  }

  // --- Long texts are folded to a readable height. ---
  function foldLongTexts(root) {
    for (const bubble of root.querySelectorAll("[data-long]:not(.is-measured)")) {
      if (bubble.offsetParent === null) continue;
      bubble.classList.add("is-measured");
      if (bubble.scrollHeight < 380) continue;
      bubble.classList.add("is-clamped");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "va-link";
      button.textContent = `Show all ${bubble.textContent.length.toLocaleString("en")} characters`;
      button.addEventListener("click", () => { bubble.classList.remove("is-clamped"); button.remove(); });
      bubble.after(button);
    }
  }

  // --- A link to a failed tool call opens it. ---
  function openTarget() {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }

  // --- A whole row leads where its first link leads; modified clicks and selections stay the browser's. ---
  function followRow(event) {
    const row = event.target.closest("[data-row]");
    if (!row || event.target.closest("a, button, input, select, summary, label")) return;
    if (window.getSelection().toString()) return;
    // What was said stands below its row.
    const link = (row.matches(".va-said") ? row.previousElementSibling : row).querySelector("a[data-row-link]");
    if (!link) return;
    if (event.ctrlKey || event.metaKey || event.button === 1) window.open(link.href, "_blank", "noopener");
    else link.click();
  }

  // --- A form is sent once. ---
  function sendOnce(event) {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  }

  function releaseForms() {
    for (const form of document.querySelectorAll("form[data-once]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
    }
  }

  function copyText(event) {
    const element = event.target.closest("[data-copy]");
    if (!element || window.getSelection().toString() || !navigator.clipboard) return;
    navigator.clipboard.writeText(element.textContent.trim()).then(() => {
      element.classList.add("is-copied");
      setTimeout(() => element.classList.remove("is-copied"), 1200);
    }, () => {});
  }

  // --- Filters ask as soon as one is chosen, and leave empty ones out of the address. ---
  function submitFilters(event) {
    if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
  }

  function dropEmpty(event) {
    if (!event.target.matches("[data-filters]")) return;
    for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
  }

  function closeMenus(event) {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (event.type === "keydown" ? event.key === "Escape" : !menu.contains(event.target)) menu.open = false;
    }
  }

  function focusSearch(event) {
    const box = document.querySelector("[data-search]");
    if (event.key !== "/" || !box || event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    box.focus();
    box.select();
  }

  function restoreFilters() {
    for (const field of document.querySelectorAll("[data-filters] :disabled")) field.disabled = false;
  }

  // --- Ticked rows: all on the page at once, a range with Shift, and how many they are. ---
  let lastTicked = null;

  function ticks(form) {
    return [...form.elements].filter((field) => field.type === "checkbox" && field.name === "id");
  }

  function countTicks() {
    for (const form of document.querySelectorAll("form[data-ticks]")) {
      const boxes = ticks(form), count = boxes.filter((box) => box.checked).length;
      const all = form.querySelector("[data-tick-all]"), words = form.querySelector("[data-ticked]");
      all.checked = count > 0 && count === boxes.length;
      all.indeterminate = count > 0 && count < boxes.length;
      words.dataset.none ??= words.textContent;
      words.textContent = count ? words.dataset.ticked.replace("{n}", count) : words.dataset.none;
      for (const button of form.querySelectorAll("[data-needs-tick]")) button.disabled = !count;
    }
  }

  function tickRange(event) {
    const box = event.target, form = box.form;
    if (!form?.matches("[data-ticks]")) return;
    const boxes = ticks(form);
    if (box.matches("[data-tick-all]")) {
      for (const other of boxes) other.checked = box.checked;
    } else if (event.shiftKey && lastTicked?.form === form) {
      const [from, to] = [boxes.indexOf(lastTicked), boxes.indexOf(box)].sort((a, b) => a - b);
      for (const other of boxes.slice(from, to + 1)) other.checked = box.checked;
    }
    if (boxes.includes(box)) lastTicked = box;
    countTicks();
  }

  // --- Whoever types a value means the choice that it belongs to. ---
  function meanChoice(event) {
    const choice = event.target.closest("[data-choices] .va-choice, .va-pick");
    const radio = choice && event.target.type !== "radio" && choice.querySelector("input[type=radio]");
    if (radio) radio.checked = true;
  }

  document.documentElement.classList.add("has-script");
  document.addEventListener("click", tickRange);
  document.addEventListener("input", meanChoice);
  window.addEventListener("pageshow", countTicks);
  document.addEventListener("htmx:afterSwap", countTicks);
  document.addEventListener("change", submitFilters);
  document.addEventListener("submit", dropEmpty);
  document.addEventListener("click", closeMenus);
  document.addEventListener("keydown", closeMenus);
  document.addEventListener("keydown", focusSearch);
  window.addEventListener("pageshow", restoreFilters);

  document.addEventListener("DOMContentLoaded", () => {
    foldLongTexts(document);
    openTarget();
    refreshTimes();
    setInterval(refreshTimes, 20000);
  });
  window.addEventListener("load", () => foldLongTexts(document));
  window.addEventListener("hashchange", openTarget);
  window.addEventListener("pageshow", releaseForms);
  document.addEventListener("toggle", (event) => foldLongTexts(event.target), true);
  document.addEventListener("click", followRow);
  document.addEventListener("auxclick", (event) => { if (event.button === 1) followRow(event); });
  document.addEventListener("click", copyText);
  document.addEventListener("submit", sendOnce);
  document.addEventListener("htmx:afterSwap", refreshTimes);
  document.addEventListener("htmx:afterSettle", () => foldLongTexts(document));
})();
