// Each panel holds its tokens as one byte per direction; dot products of them are cosines.
const INFERNO = {{ inferno | tojson }};

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function readPanel(element, source) {
  const canvas = element.querySelector("canvas");
  const scale = new Float32Array(bytes(element.dataset.scale).buffer);
  const codes = new Int8Array(bytes(element.dataset.codes).buffer);
  element.querySelector("img").src = source;
  const rows = Number(element.dataset.rows), columns = Number(element.dataset.columns);
  canvas.width = columns;
  canvas.height = rows;
  return { element, canvas, scale, codes, rows, columns };
}

function place(part, count) {
  return Math.min(count - 1, Math.max(0, Math.floor(part * count)));
}

function similarities(panel, row, column) {
  const width = panel.scale.length, count = panel.rows * panel.columns;
  const start = (row * panel.columns + column) * width;
  const asking = panel.scale.map((step, k) => step * step * panel.codes[start + k]);
  const found = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < width; k++) found[i] += asking[k] * panel.codes[i * width + k];
    found[i] = Math.min(1, Math.max(-1, found[i]));
  }
  return found;
}

function paint(panel, values) {
  const low = Math.min(...values), high = Math.max(...values);
  const drawn = new ImageData(panel.columns, panel.rows);
  values.forEach((value, i) => {
    const shade = Math.round(255 * (value - low) / Math.max(high - low, 1e-6));
    for (let c = 0; c < 3; c++) drawn.data[4 * i + c] = INFERNO[3 * shade + c];
    drawn.data[4 * i + 3] = 190;
  });
  panel.canvas.getContext("2d").putImageData(drawn, 0, 0);
  panel.element.parentElement.querySelector(".range").textContent =
    `${low.toFixed(2)} to ${high.toFixed(2)}`;
}

function frame(element, row, column, rows, columns) {
  const mark = element.querySelector(".mark").style;
  mark.left = `${100 * column / columns}%`;
  mark.top = `${100 * row / rows}%`;
  mark.width = `${100 / columns}%`;
  mark.height = `${100 / rows}%`;
}

function explore(group) {
  const first = group.querySelector(".panel");
  const source = first.querySelector("img").src;
  const panels = [...group.querySelectorAll(".panel[data-codes]")].map((e) => readPanel(e, source));
  const rows = Math.max(...panels.map((panel) => panel.rows));
  const columns = Math.max(...panels.map((panel) => panel.columns));
  let row = rows >> 1, column = columns >> 1;

  function show() {
    frame(first, row, column, rows, columns);
    for (const panel of panels) {
      const r = place((row + 0.5) / rows, panel.rows);
      const c = place((column + 0.5) / columns, panel.columns);
      frame(panel.element, r, c, panel.rows, panel.columns);
      paint(panel, similarities(panel, r, c));
    }
    group.querySelector("output").textContent =
      `Row ${row + 1} of ${rows}, column ${column + 1} of ${columns}`;
  }

  function choose(newRow, newColumn) {
    const r = Math.min(rows - 1, Math.max(0, newRow));
    const c = Math.min(columns - 1, Math.max(0, newColumn));
    if (r === row && c === column) return;
    row = r;
    column = c;
    show();
  }

  function point(event) {
    const panel = event.target.closest(".panel");
    if (!panel) return;
    const box = panel.getBoundingClientRect();
    choose(place((event.clientY - box.top) / box.height, rows),
      place((event.clientX - box.left) / box.width, columns));
  }

  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  group.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    choose(row + step[0], column + step[1]);
  });
  group.addEventListener("pointermove", point);
  group.addEventListener("pointerdown", point);
  group.hidden = false;
  show();
}

document.querySelectorAll(".explore").forEach(explore);
