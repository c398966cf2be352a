// The chart of the cost page. Heights are rounded for drawing; the words beside them are exact and come from the page.
(() => {
  "use strict";

  const canvas = document.getElementById("cost-chart");
  const source = document.getElementById("cost-chart-bars");
  if (!canvas || !source || !window.Chart) return;

  const bars = JSON.parse(source.textContent);
  let measure = bars.measures[0];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const barAt = (item) => bars.series[item.datasetIndex][measure][item.dataIndex ?? item.index];

  // As many digits as the largest bar needs, the same for every tick.
  function dollars(value) {
    const digits = this.max >= 20 ? 0 : this.max >= 0.2 ? 2 : 4;
    return `$${value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
  }

  const chart = new Chart(canvas, {
    type: "bar",
    data: {
      labels: bars.labels,
      datasets: bars.series.map((series) => ({
        label: series.name, data: [], borderRadius: 3, borderSkipped: "bottom", maxBarThickness: 26,
        backgroundColor: () => colour(`--va-${series.source}`), hoverBackgroundColor: () => colour(`--va-${series.source}`),
        categoryPercentage: 0.78, barPercentage: 0.92,
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      onClick: (event) => {
        const [hit] = chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false);
        if (hit && barAt(hit).href) window.location.assign(barAt(hit).href);
      },
      onHover: (event) => {
        const [hit] = chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false);
        canvas.style.cursor = hit && barAt(hit).href ? "pointer" : "";
      },
      plugins: {
        colors: { enabled: false },
        legend: { display: false },
        tooltip: {
          cornerRadius: 8, padding: 12, boxWidth: 10, boxHeight: 10, boxPadding: 6, titleMarginBottom: 8,
          callbacks: {
            title: ([item]) => bars.titles[item.dataIndex],
            label: (item) => ` ${item.dataset.label}: ${barAt(item).text}`,
          },
        },
      },
      scales: {
        x: { grid: { display: false }, border: {}, ticks: { autoSkip: true, autoSkipPadding: 14, maxRotation: 0 } },
        y: { beginAtZero: true, border: { display: false }, grid: {}, ticks: { callback: dollars, maxTicksLimit: 6 } },
      },
    },
  });

  function draw() {
    const font = { family: getComputedStyle(document.body).fontFamily, size: 11.5 };
    bars.series.forEach((series, place) => {
      chart.data.datasets[place].data = series[measure].map((bar) => bar.usd);
    });
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

  document.querySelectorAll("[data-measure]").forEach((button) => {
    button.addEventListener("click", () => {
      measure = button.dataset.measure;
      document.querySelectorAll("[data-measure]").forEach((each) => {
        each.setAttribute("aria-pressed", String(each === button));
      });
      draw();
    });
  });
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
  draw();
})();
