// On paper nothing is folded: open every disclosure before printing, close it again afterwards.
(() => {
  const folded = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...folded()];
    opened.forEach((part) => (part.open = true));
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((part) => (part.open = false));
    opened = [];
  });
})();
