// Tells the age of the data, sorts, filters and copies the tables that are there, and switches light and dark. Without it the page reads the same.
// It makes nodes and texts only: no markup from strings, no storage, no network.
"use strict";

const make = (name, text, listeners = {}) => {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  for (const [event, listener] of Object.entries(listeners)) node.addEventListener(event, listener);
  return node;
};
const button = (text, click) => Object.assign(make("button", text, { click }), { type: "button" });
const valueOf = (cell) => cell.dataset.v ?? cell.textContent;
const order = new Intl.Collator("en", { numeric: true });

const compare = (one, other, isNumber) => {
  if (one === "" || other === "") return one === other ? 0 : one === "" ? Infinity : -Infinity; // absent values stay last
  return isNumber ? Number(one) - Number(other) : order.compare(one, other);
};

const sort = (table, index, direction) => {
  const isNumber = table.tHead.rows[0].cells[index].classList.contains("number");
  const keyed = [...table.tBodies[0].rows].map((row) => [valueOf(row.cells[index]), row]);
  keyed.sort(([one], [other]) => {
    const result = compare(one, other, isNumber);
    return Number.isFinite(result) ? result * direction : result;
  });
  table.tBodies[0].append(...keyed.map(([, row]) => row));
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  table.tHead.rows[0].cells[index].setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
};

const filter = (table, words, output) => {
  const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  const rows = table.tBodies[0].rows;
  for (const row of rows) {
    const text = [...row.cells].map((cell) => `${cell.textContent}\t${cell.dataset.v ?? ""}`).join("\t").toLowerCase();
    row.hidden = !terms.every((word) => text.includes(word));
    if (!row.hidden) shown += 1;
  }
  output.textContent = terms.length ? `${shown} of ${rows.length} rows` : "";
};

// A spreadsheet would run a text that begins like a formula, and names in AWS can begin so.
const tame = (text, isNumber) => (!isNumber && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
const formats = {
  TSV: (cells) => cells.map((text) => text.replace(/[\t\r\n]+/g, " ")).join("\t"),
  CSV: (cells) => cells.map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(","),
};

const written = (table, format) => {
  const isNumber = [...table.tHead.rows[0].cells].map((cell) => cell.classList.contains("number"));
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  const cells = (row) => [...row.cells].map((cell, index) => tame(valueOf(cell), isNumber[index]));
  return [names, ...rows.map(cells)].map(formats[format]).join("\n") + "\n";
};

const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", text); // the old way, where the new one is not allowed
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
};

for (const table of document.querySelectorAll("details.data table")) {
  const output = make("output");
  const field = make("input", "", { input: () => filter(table, field.value, output) });
  Object.assign(field, { type: "search", placeholder: "Filter rows", autocomplete: "off", spellcheck: false });
  field.setAttribute("aria-label", `Filter rows of ${table.getAttribute("aria-label")}`);
  const copies = Object.keys(formats).map((format) =>
    button(`Copy ${format}`, async () => {
      const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden).length;
      output.textContent = (await copy(written(table, format))) ? `${rows} rows copied` : "the browser refused to copy";
    }),
  );
  const tools = make("div");
  tools.className = "tools";
  tools.append(field, ...copies, output);
  table.parentElement.before(tools);
  [...table.tHead.rows[0].cells].forEach((cell, index) => {
    const name = cell.textContent;
    const first = cell.classList.contains("number") ? -1 : 1; // the greatest number first, the first letter first
    cell.replaceChildren(
      button(name, () => {
        const before = cell.getAttribute("aria-sort");
        sort(table, index, before ? (before === "ascending" ? -1 : 1) : first);
      }),
    );
  });
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const theme = button("", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  name();
});
const name = () => (theme.textContent = isDark() ? "Light" : "Dark");
theme.className = "theme";
theme.setAttribute("aria-label", "Switch between light and dark");
dark.addEventListener("change", name);
name();
document.querySelector(".top .wrap").append(theme);

// How old the data is, told when the page is opened: an age in the file would be wrong tomorrow.
const units = [["year", 31_557_600], ["month", 2_629_800], ["week", 604_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
const age = (seconds) => {
  const [unit, length] = units.find(([, least]) => seconds >= 2 * least) ?? ["minute", 60];
  const number = Math.floor(seconds / length);
  return seconds < 0 ? "in the future by this computer's clock" : `${number} ${unit}${number === 1 ? "" : "s"} ago`;
};
for (const time of document.querySelectorAll(".read time")) {
  const shown = make("span", age((Date.now() - Date.parse(time.dateTime)) / 1000));
  shown.className = "age";
  time.after(shown);
}
