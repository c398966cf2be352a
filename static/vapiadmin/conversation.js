// Finding words in the conversation that is shown and in the session's chats, and the link to a turn of it.
(() => {
  "use strict";

  const PLACES = ".va-bubble, .va-words, .va-tool";
  // Beyond these words are found, but not marked.
  const MOST_MARKS = 2000;
  let found = [], here = -1;

  const box = () => document.getElementById("conversation-find");
  // Icons, headings and states of tool calls are the page's own words.
  const OWN = ".material-symbols-outlined, h4, .va-tool__state, .va-tool__next";
  // Upper case first: it spells out what has no capital, as the search does.
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toUpperCase().toLowerCase();

  function find() {
    const input = box();
    if (!input) return;
    for (const place of document.querySelectorAll(`.is-found`)) place.classList.remove("is-found", "is-here");
    const asked = fold(input.value.trim());
    const [places, terms] = asked.length < 2 ? [[], []] : search(asked);
    found = places;
    for (const place of found) place.classList.add("is-found");
    mark(terms);
    here = Math.min(here, found.length - 1);
    say(asked);
  }

  // What was said first, instructions to the assistant last. Where the words stand as they were typed; where they nowhere do, all of them, and where nowhere all, one of them.
  function search(asked) {
    const words = asked.match(/[\p{L}\p{N}]{2,}/gu) || [];
    const texts = [...document.querySelectorAll("[data-conversation] .va-turns")]
      .flatMap((turns) => [...turns.querySelectorAll(PLACES)])
      .sort((one, other) => one.matches(".va-words") - other.matches(".va-words"))
      .map((place) => [place, fold(textsIn(place).map((node) => node.data).join(""))]);
    const where = (holds) => texts.filter(([, text]) => holds(text)).map(([place]) => place);
    const phrase = where((text) => text.includes(asked));
    if (phrase.length || !words.length) return [phrase, [asked]];
    const all = where((text) => words.every((word) => text.includes(word)));
    return [all.length ? all : where((text) => words.some((word) => text.includes(word))), words];
  }

  function textsIn(place) {
    const texts = [], nodes = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (nodes.nextNode()) if (!nodes.currentNode.parentElement.closest(OWN)) texts.push(nodes.currentNode);
    return texts;
  }

  // Without touching the page, by browsers that can.
  function mark(terms) {
    if (!CSS.highlights) return;
    const ranges = [];
    for (const place of found) {
      for (const node of textsIn(place)) if (ranges.length < MOST_MARKS) ranges.push(...rangesIn(node, terms));
    }
    CSS.highlights.set("va-found", new Highlight(...ranges));
  }

  function rangesIn(node, terms) {
    let folded = "", place = 0;
    const places = [];
    for (const character of node.data) {
      const part = fold(character);
      for (let unit = 0; unit < part.length; unit++) places.push(place);
      folded += part;
      place += character.length;
    }
    places.push(place);
    const ranges = [];
    for (const term of terms) {
      for (let at = folded.indexOf(term); at >= 0; at = folded.indexOf(term, at + term.length)) {
        const range = new Range();
        range.setStart(node, places[at]);
        range.setEnd(node, places[at + term.length]);
        ranges.push(range);
      }
    }
    return ranges;
  }

  // What a search in the list was for is found here at once; what is not in the words is not asked any more.
  function findFromList() {
    if (!box()?.value) return;
    find();
    if (found.length) return go(1);
    if (!document.querySelector("[data-conversation] .va-more")) { box().value = ""; find(); }
  }

  function say(asked) {
    const count = here >= 0 ? `${here + 1} of ${found.length}` : `${found.length} found`;
    box().form.querySelector("output").textContent = asked.length < 2 ? "" : found.length ? count : "not found";
  }

  function go(step) {
    if (!found.length) return;
    found[here]?.classList.remove("is-here");
    here = (here + step + found.length) % found.length;
    const place = found[here];
    place.classList.add("is-here");
    for (let folded = place.closest("details"); folded; folded = folded.parentElement.closest("details")) folded.open = true;
    place.nextElementSibling?.matches(".va-bubble.is-clamped + button") && place.nextElementSibling.click();
    place.scrollIntoView({ block: "center" });
    say(fold(box().value.trim()));
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
  document.addEventListener("DOMContentLoaded", findFromList);
})();
