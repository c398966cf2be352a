// The chart of requests to Vapi: stacked bars, a colour for each purpose.
(() => {
  "use strict";

  const canvas = document.getElementById("requests-chart");
  const source = document.getElementById("requests-chart-bars");
  if (!canvas || !source || !window.Chart) return;

  const bars = JSON.parse(source.textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const chart = new Chart(canvas, {
    type: "bar",
    data: {
      labels: bars.labels,
      datasets: bars.series.map((series) => ({
        label: series.name, data: series.counts, maxBarThickness: 22, categoryPercentage: 0.9, barPercentage: 0.92,
        backgroundColor: () => colour(`--va-purpose-${series.purpose}`),
        hoverBackgroundColor: () => colour(`--va-purpose-${series.purpose}`),
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      plugins: {
        colors: { enabled: false },
        legend: { display: false },
        tooltip: { cornerRadius: 8, padding: 12, boxWidth: 10, boxHeight: 10, boxPadding: 6, filter: (item) => item.raw > 0 },
      },
      scales: {
        x: { stacked: true, grid: { display: false }, border: {}, ticks: { autoSkip: true, autoSkipPadding: 14, maxRotation: 0 } },
        y: { stacked: true, beginAtZero: true, border: { display: false }, grid: {}, ticks: { precision: 0, maxTicksLimit: 6 } },
      },
    },
  });

  function draw() {
    const font = { family: getComputedStyle(document.body).fontFamily, size: 11.5 };
    for (const axis of [chart.options.scales.x, chart.options.scales.y]) {
      axis.ticks.color = colour("--va-muted");
      axis.ticks.font = font;
    }
    chart.options.scales.x.border.color = colour("--va-line-strong");
    chart.options.scales.y.grid.color = colour("--va-line");
    Object.assign(chart.options.plugins.tooltip, {
      backgroundColor: colour("--va-tooltip"), titleColor: "#fff", bodyColor: "#fff",
      titleFont: { ...font, weight: 600, size: 12.5 }, bodyFont: { ...font, size: 12.5 },
    });
    chart.update("none");
  }

  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
  draw();
})();
