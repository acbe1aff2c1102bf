// A click on a heading, or Enter, sorts a table by that column; bodies stay whole.
function sortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  const text = (body, place) => body.rows[0].cells[place].textContent.trim();
  const number = (words) => parseFloat(words.replace("about ", ""));

  function sort(place) {
    const heading = headings[place];
    const bodies = [...table.tBodies];
    const words = bodies.map((body) => text(body, place)).filter((cell) => cell && cell !== "-");
    const numeric = words.length > 0 && words.every((cell) => !isNaN(number(cell)));
    const first = numeric ? "descending" : "ascending";
    const second = numeric ? "ascending" : "descending";
    const order = heading.getAttribute("aria-sort") === first ? second : first;
    const sign = order === "ascending" ? 1 : -1;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    bodies.sort((a, b) => {
      const [x, y] = [text(a, place), text(b, place)];
      if (!numeric) return sign * x.localeCompare(y);
      const [p, q] = [number(x), number(y)];
      return isNaN(p) || isNaN(q) ? isNaN(p) - isNaN(q) : sign * (p - q);
    });
    table.append(...bodies);
  }

  headings.forEach((heading, place) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sort(place));
  });
}

document.querySelectorAll("table.sortable").forEach(sortable);
