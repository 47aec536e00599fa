"use strict";
{
  const form = document.getElementById("filter");
  const count = document.getElementById("count");
  const plain = (text) => text.normalize("NFKC").toLowerCase();

  const errors = Array.from(document.querySelectorAll(".error"), (card) => {
    /* Texts of the data have a `dir` attribute, labels have none. */
    const parts = Array.from(card.querySelectorAll("[dir]"), (part) => part.textContent);
    return { card, text: plain(parts.join("\n")) };
  });

  const update = () => {
    const words = plain(form.elements.search.value).split(/\s+/).filter(Boolean);
    const chosen = Array.from(form.querySelectorAll("select")).filter((select) => select.value);
    let shown = 0;
    for (const { card, text } of errors) {
      const fits =
        words.every((word) => text.includes(word)) &&
        chosen.every((select) => card.dataset[select.name] === select.value);
      card.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    count.textContent = `${shown} of ${errors.length} shown`;
  };

  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector("button").addEventListener("click", () => {
    form.reset();
    update();
  });
  form.hidden = false;
  update();
}
