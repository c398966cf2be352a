// Finding words in the conversation that is shown, and the link to a turn of it.
(() => {
  "use strict";

  const PLACES = ".va-bubble, .va-words, .va-tool";
  let found = [], here = -1;

  const box = () => document.getElementById("conversation-find");

  function find() {
    const input = box();
    if (!input) return;
    const words = input.value.trim().toLowerCase();
    for (const place of document.querySelectorAll(`.is-found`)) place.classList.remove("is-found", "is-here");
    found = words.length < 2 ? [] : [...document.querySelectorAll("#session-conversation .va-turns")]
      .flatMap((turns) => [...turns.querySelectorAll(PLACES)])
      .filter((place) => place.textContent.toLowerCase().includes(words));
    for (const place of found) place.classList.add("is-found");
    here = Math.min(here, found.length - 1);
    say(words);
  }

  function say(words) {
    const count = here >= 0 ? `${here + 1} of ${found.length}` : `${found.length} found`;
    box().form.querySelector("output").textContent = words.length < 2 ? "" : found.length ? count : "not found";
  }

  function go(step) {
    if (!found.length) return;
    found[here]?.classList.remove("is-here");
    here = (here + step + found.length) % found.length;
    const place = found[here];
    place.classList.add("is-here");
    const folded = place.closest("details");
    if (folded) folded.open = true;
    place.nextElementSibling?.matches(".va-bubble.is-clamped + button") && place.nextElementSibling.click();
    place.scrollIntoView({ block: "center" });
    say(box().value.trim());
  }

  function onKey(event) {
    if (event.target === box()) {
      if (event.key === "Escape") { event.target.value = ""; find(); event.target.blur(); }
      return;
    }
    if (event.key !== "f" || event.ctrlKey || event.metaKey || event.altKey || !box()) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
    event.preventDefault();
    box().focus();
    box().select();
  }

  function onSubmit(event) {
    if (event.target !== box()?.form) return;
    event.preventDefault();
    go(1);
  }

  // The address of a turn: shown in the address bar, and copied where the browser lets it be.
  function onLink(event) {
    const link = event.target.closest(".va-turn__link");
    if (!link || !navigator.clipboard) return;
    navigator.clipboard.writeText(link.href).then(() => {
      link.classList.add("is-copied");
      setTimeout(() => link.classList.remove("is-copied"), 1200);
    }, () => {});
  }

  document.addEventListener("input", (event) => { if (event.target === box()) { here = -1; find(); } });
  document.addEventListener("keydown", onKey);
  document.addEventListener("submit", onSubmit);
  document.addEventListener("click", onLink);
  document.addEventListener("htmx:afterSettle", find);
})();
