"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const draw = (forPaper) => {
  const style = getComputedStyle(document.documentElement);
  const ink = forPaper ? "#1d1f21" : style.getPropertyValue("--ink").trim();
  const line = forPaper ? "#d5d9dd" : style.getPropertyValue("--line").trim();
  for (const place of document.querySelectorAll(".plot")) {
    const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
    figure.layout.font.color = ink;
    for (const name of Object.keys(figure.layout).filter((key) => /^[xy]axis/.test(key))) {
      Object.assign(figure.layout[name], { gridcolor: line, zerolinecolor: line, linecolor: line });
    }
    Plotly.react(place, figure.data, figure.layout, { responsive: true, displaylogo: false, displayModeBar: false });
  }
};
draw(false);
dark.addEventListener("change", () => draw(false));
addEventListener("beforeprint", () => draw(true));
addEventListener("afterprint", () => draw(false));
