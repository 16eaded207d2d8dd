// Phrases to choose from: data.rows is [{phrase, by, score, share, best, kept}]; as chips where data.chips.
// A click gives the phrase's number to Python. All text is set as text.
export default function ({ parentElement, data, setTriggerValue }) {
  const list = parentElement.querySelector(".list");
  list.replaceChildren();
  list.className = data.chips ? "list chips" : "list";
  const part = (name, text, into) => {
    const element = document.createElement(name.startsWith("small") ? "small" : "span");
    element.className = name;
    element.textContent = text;
    into.append(element);
    return element;
  };
  data.rows.forEach((row, number) => {
    const button = document.createElement("button");
    button.onclick = () => setTriggerValue("chosen", number);
    if (data.chips) {
      button.className = "chip";
      button.append(row.phrase + " ");
      part("small", row.score, button);
    } else {
      button.className = row.best ? "row best" : "row";
      const name = part("phrase", row.phrase, button);
      part("by", row.by + (row.kept ? " · kept" : ""), name);
      part("score", row.score, button);
      const bar = part("bar", "", button);
      const fill = document.createElement("i");
      fill.style.width = `${100 * row.share}%`;
      bar.append(fill);
      const star = part("star", row.best ? "★" : "", button);
      if (row.best) star.title = "the best explanation so far";
    }
    list.append(button);
  });
}
