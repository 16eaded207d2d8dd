// A grid of pictures: data.pictures is [{src, wrong, name, caption}], data.none what to say where there are none.
// A click, or Enter on a focused picture, gives its number to Python. A grid is one stop of the Tab key;
// arrows, Home and End go to its other pictures.
export default function ({ parentElement, data, setTriggerValue }) {
  let grid = parentElement.querySelector(".grid");
  const buttons = [];
  const left = [...grid.querySelectorAll("button")].indexOf(grid.getRootNode().activeElement);
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
    button.tabIndex = number ? -1 : 0;
    buttons.push(button);
    const image = document.createElement("img");
    image.loading = "lazy";
    image.alt = "";
    image.src = picture.src;
    button.append(image);
    button.onclick = () => setTriggerValue("opened", number);
    button.onfocus = () => buttons.forEach((each) => { each.tabIndex = each === button ? 0 : -1; });
    button.onkeydown = (event) => {
      if (event.key === "Enter") button.click();
      const across = buttons.findIndex((each) => each.getBoundingClientRect().top > buttons[0].getBoundingClientRect().top);
      const columns = across < 0 ? buttons.length : across;
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -number, End: buttons.length - 1 - number };
      if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation(); // the page's own arrows turn its pages
      buttons[number + steps[event.key]]?.focus();
    };
    if (!captioned) {
      grid.append(button);
      return;
    }
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    caption.textContent = caption.title = picture.caption;
    figure.append(button, caption);
    grid.append(figure);
  });
  buttons[left]?.focus({ preventScroll: true }); // the page ran again, and drew the grid anew
}
