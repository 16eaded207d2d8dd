// The comparison as one table: data.html is made by Python, which escapes all that people wrote.
// A click on a row, or on its button by keyboard, gives the model's number to Python.
export default function ({ parentElement, data, setTriggerValue }) {
  const place = parentElement.querySelector(".models");
  place.innerHTML = data.html;
  place.querySelectorAll("tr[data-model]").forEach((row) => {
    row.onclick = () => setTriggerValue("chosen", Number(row.dataset.model));
  });
}
