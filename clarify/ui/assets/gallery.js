// A grid of pictures: data.pictures is [{src, wrong, name, caption}], data.none what to say where there are none.
// A click, or Enter on a focused picture, gives its number to Python.
export default function ({ parentElement, data, setTriggerValue }) {
  let grid = parentElement.querySelector(".grid");
  grid.replaceChildren();
  const captioned = data.pictures.some((picture) => picture.caption);
  grid.classList.toggle("captioned", captioned);
  grid.style.setProperty("--side", `${captioned ? 1.6 * data.side : data.side}px`);
  if (!data.pictures.length) {
    const none = document.createElement("div");
    none.className = "none";
    none.textContent = data.none;
    grid.append(none);
  }
  data.pictures.forEach((picture, number) => {
    const button = document.createElement("button");
    button.className = picture.wrong ? "wrong" : "";
    button.title = picture.name;
    button.setAttribute("aria-label", picture.name + (picture.wrong ? ", wrong" : ", right"));
    button.tabIndex = 0;
    const image = document.createElement("img");
    image.loading = "lazy";
    image.alt = "";
    image.src = picture.src;
    button.append(image);
    button.onclick = () => setTriggerValue("opened", number);
    button.onkeydown = (event) => { if (event.key === "Enter") button.click(); };
    if (!captioned) {
      grid.append(button);
      return;
    }
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    caption.textContent = caption.title = picture.caption;
    figure.append(button, caption);
    grid.append(figure);
  });
}
