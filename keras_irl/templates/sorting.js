// Tables of the class "sorted" sort by the column whose header is pressed.
const natural = { numeric: true };
for (const table of document.querySelectorAll("table.sorted")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      // Of numbers, the largest is what one looks for first.
      const text = row => row.cells[column].textContent.trim();
      const number = row => parseFloat(text(row).replace("−", "-"));
      const rows = [...body.rows];
      const numeric = rows.some(row => !isNaN(number(row)));
      const first = numeric ? "descending" : "ascending";
      const second = numeric ? "ascending" : "descending";
      const order = before === first ? second : first;
      const sign = order === "ascending" ? 1 : -1;
      rows.sort((a, b) => {
        if (!numeric) return sign * text(a).localeCompare(text(b), "en", natural);
        // Whatever has no number comes last.
        const [x, y] = [number(a), number(b)];
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
        return sign * (x - y);
      });
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      body.append(...rows);
    });
  });
}
