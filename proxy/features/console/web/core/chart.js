// Bars, one beside the other, as SVG. They are drawn to the width that there is, so that letters keep their size.

import { html, nothing, svg } from "./lit.js";
import { language } from "./texts.js";

const HEIGHT = 216;
const TOP = 12;
const BASE = 184;
const LEFT = 56;
const ROUND = [1, 2, 4, 6, 8, 10];
// The room that the name of a bar takes.
const NAME = 64;

// A round number that is not below any value, and has a round half.
function roundAbove(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return power * ROUND.find((each) => each * power >= most * 0.999999);
}

// A bar has a `value`, a short `name` for below it, and a `text` for a pointer that rests on it. `unit` is one that
// numbers are counted in, such as minute.
export function barChart({ bars, width, label, unit = "", least = 0 }) {
  // Of a page that is not shown, no width is known.
  if (width <= LEFT) return nothing;
  const { format } = new Intl.NumberFormat(language, unit ? { style: "unit", unit, unitDisplay: "short" } : {});
  const top = roundAbove(Math.max(least, ...bars.map(({ value }) => value)));
  const step = (width - LEFT) / bars.length;
  const gap = Math.min(8, step / 4);
  const each = Math.ceil(NAME / step);
  const y = (value) => BASE - (value / top) * (BASE - TOP);
  const lines = [0, top / 2, top].map((value) => svg`<line x1=${LEFT} x2=${width} y1=${y(value)} y2=${y(value)}></line>
    <text x=${LEFT - 8} y=${y(value) + 4} text-anchor="end">${format(value)}</text>`);
  const drawn = bars.map(({ value, name, text }, place) => {
    const x = LEFT + place * step;
    const bar = svg`<rect class="c1" x=${x + gap / 2} y=${y(value)} width=${step - gap} height=${BASE - y(value)} rx=${Math.min(3, step / 4)}><title>${text}</title></rect>`;
    // The last bar has its name, and so has each that is far enough before it.
    const isNamed = (bars.length - 1 - place) % each === 0 && x + step / 2 > LEFT + NAME / 3;
    return isNamed ? svg`${bar}<text x=${Math.min(x + step / 2, width - NAME / 3)} y=${BASE + 20} text-anchor="middle">${name}</text>` : bar;
  });
  return html`<svg class="chart" viewBox="0 0 ${width} ${HEIGHT}" role="img" aria-label=${label}>${lines}${drawn}</svg>`;
}
