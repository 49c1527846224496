// The style sheet and the script of report.html.
#pragma once

namespace muonlab::study::detail {

inline constexpr const char* kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c1f23; --soft: #5c6570; --line: #d9dee4;
  --shade: #f4f6f8; --accent: #9a4a00; --unfair: #b3261e; --uncertain: #8a5a00;
  --note: #41607d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e4e7eb; --soft: #a0a9b4; --line: #363d46;
    --shade: #1d2228; --accent: #ffab5e; --unfair: #ff8a80;
    --uncertain: #f0b95b; --note: #9cc3e8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "DejaVu Sans", sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 {
  font-size: 1.3rem; margin: 2.6rem 0 .8rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--line);
}
h3 { font-size: 1.05rem; margin: 1.8rem 0 .5rem; }
p { margin: .6rem 0; max-width: 84ch; }
.question, .after { color: var(--soft); }
.after { font-size: .9rem; }
.verdict {
  margin: 1.2rem 0; padding: 1rem 1.25rem; background: var(--shade);
  border-left: 4px solid var(--accent); border-radius: 0 6px 6px 0;
}
.verdict p { max-width: none; }
.verdict .sentence { font-size: 1.1rem; font-weight: 500; margin-top: 0; }
.verdict .remark { font-size: .92rem; margin-bottom: 0; }
ul.audit { list-style: none; padding: 0; margin: 0; }
ul.audit li {
  display: grid; grid-template-columns: 6.2rem 1fr; gap: .75rem;
  padding: .45rem 0; border-bottom: 1px solid var(--line);
}
.label { font-size: .85rem; font-weight: 600; padding-top: .1rem; }
.label.unfair { color: var(--unfair); }
.label.uncertain { color: var(--uncertain); }
.label.note { color: var(--note); }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .88rem; line-height: 1.35; }
th, td { padding: .38rem .6rem; text-align: left; vertical-align: top; }
th {
  vertical-align: bottom; font-weight: 600; color: var(--soft);
  border-bottom: 2px solid var(--line);
}
td { border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
.swatch {
  display: inline-block; width: .7em; height: .7em; border-radius: 2px;
  margin-right: .5em;
}
a { color: var(--accent); }
td.arm { white-space: nowrap; font-weight: 600; }
figure { margin: 1.6rem 0 2.4rem; }
figure h3 { margin-top: 0; }
.plot { width: 100%; min-height: 60px; }
.plot.vega-embed { display: block; padding-right: 0; }
.plot svg { max-width: 100%; color: var(--ink); }
.plot.vega-embed summary {
  background: var(--paper); border-color: var(--line); opacity: .6;
}
.plot.vega-embed summary svg { fill: currentColor; }
.panels { display: grid; gap: .4rem 1.6rem; }
.panels.columns-2 { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.panels.columns-3 { grid-template-columns: repeat(3, minmax(0, 1fr)); }
.panels.columns-4 { grid-template-columns: repeat(4, minmax(0, 1fr)); }
.panel { min-width: 0; }
h4 { font-size: .9rem; margin: .4rem 0 .2rem; }
figcaption { color: var(--soft); font-size: .88rem; max-width: 96ch; }
pre {
  background: var(--shade); padding: .9rem 1.1rem; border-radius: 6px;
  overflow-x: auto; font: .86rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace;
}
@media (max-width: 1000px) {
  .panels.columns-3, .panels.columns-4 {
    grid-template-columns: repeat(2, minmax(0, 1fr));
  }
}
@media (max-width: 640px) {
  .panels.columns-2, .panels.columns-3, .panels.columns-4 {
    grid-template-columns: minmax(0, 1fr);
  }
  main { padding: 20px 14px 40px; }
  ul.audit li { grid-template-columns: 1fr; gap: 0; }
  h1 { font-size: 1.4rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --shade: #f4f4f4;
    --accent: #9a4a00; --unfair: #b3261e; --uncertain: #8a5a00;
    --note: #41607d;
  }
  @page { margin: 15mm; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  p { orphans: 3; widows: 3; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  thead { display: table-header-group; }
  th, td { padding: .2rem .4rem; overflow-wrap: break-word; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  /* Browsers leave backgrounds out unless the page insists. */
  .swatch, .verdict, pre {
    print-color-adjust: exact; -webkit-print-color-adjust: exact;
  }
  figure, tr, pre, .verdict, ul.audit li { break-inside: avoid; }
  h2, h3, h3 + p, tbody tr:nth-child(-n+2) { break-after: avoid; }
  figure { margin: 1rem 0 1.4rem; }
  /* Two figures on a page of A4 or letter. */
  .plot svg { width: auto; height: auto; max-height: 90mm; }
  .plot details { display: none; }
}
)css";

// Paper is about as wide as paperWidth pixels, whatever the window is: there
// the figures are drawn anew, or their text would shrink with the drawing.
inline constexpr const char* kReportScript = R"js(
const paperWidth = 640;
const views = [];
for (const node of document.querySelectorAll(".plot")) {
  const spec = JSON.parse(document.getElementById(node.dataset.spec).textContent);
  window.vegaEmbed(node, spec, {
    renderer: "svg",
    actions: {export: true, source: false, compiled: false, editor: false},
    downloadFileName: node.dataset.name,
  }).then((drawn) => views.push(drawn.view)).catch((error) => {
    node.textContent = "This figure could not be drawn: " + error;
    console.error(error);
  });
}
addEventListener("beforeprint", () => {
  // Panels stand side by side on paper, too.
  for (const view of views) {
    const panels = view.container().closest(".panels");
    const columns = panels ?
        getComputedStyle(panels).gridTemplateColumns.split(" ").length : 1;
    view.width(paperWidth / columns).run();
  }
});
addEventListener("afterprint", () => dispatchEvent(new Event("resize")));
)js";

}  // namespace muonlab::study::detail
