// What a reader meets on a page, gathered inside it. Returns a plain object.
() => {
  const dark = document.documentElement.dataset.theme === "dark";
  const article = document.querySelector("article.bd-article, .bd-article") ?? document.body;
  const seen = (node) => {
    const style = getComputedStyle(node);
    return style.display !== "none" && style.visibility !== "hidden" && node.getClientRects().length > 0;
  };
  const nameOf = (node) => node.cloneNode(false).outerHTML.slice(0, 160);

  // Text with its own letters, its colour, and the first solid background behind it.
  const channels = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    const unit = colour.startsWith("color(") ? 1 : 255;
    return [r / unit, g / unit, b / unit, a];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const layer = channels(getComputedStyle(at).backgroundColor);
      if (layer[3] > 0) layers.push(layer);
      if (layer[3] === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), dark ? [0, 0, 0, 1] : [1, 1, 1, 1]);
  };
  const luminance = (c) =>
    [0.2126, 0.7152, 0.0722].reduce(
      (sum, weight, i) => sum + weight * (c[i] <= 0.04045 ? c[i] / 12.92 : ((c[i] + 0.055) / 1.055) ** 2.4), 0);
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const faint = [];
  const told = new Set();
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || told.has(node) || !seen(node)) continue;
    told.add(node);
    if (node.closest("mjx-assistive-mml, .headerlink, button, .copybtn, .visually-hidden")) continue;
    const below = behind(node);
    const text = over(channels(getComputedStyle(node).color), below);
    const least = node.closest(".highlight") ? 3 : 4.5;
    if (ratio(text, below) < least)
      faint.push(`${ratio(text, below).toFixed(2)} ${nameOf(node)} ${walker.currentNode.data.trim().slice(0, 40)}`);
  }

  // Mathematics that was not turned into pictures.
  const raw = [];
  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.closest("pre, code, script, style, mjx-container, .no-math")) continue;
    if (/\\[(\[]|\$[^$\n]+\$|\\(frac|sigma|mathbb|operatorname)/.test(text.data)) raw.push(text.data.trim().slice(0, 80));
  }

  // Whether a node reaches beyond the window, and no box around it scrolls.
  const escapes = (node) => {
    if (node.getBoundingClientRect().right <= window.innerWidth + 1) return false;
    for (let at = node.parentElement; at && at !== document.body; at = at.parentElement)
      if (/auto|scroll|hidden/.test(getComputedStyle(at).overflowX)) return /hidden/.test(getComputedStyle(at).overflowX);
    return true;
  };
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  const culprits = wide <= 0 ? [] : [...document.querySelectorAll("body *")]
    .filter((node) => !node.closest("mjx-container") && seen(node) && escapes(node))
    .slice(0, 5).map(nameOf).concat(`(${wide} pixels)`);
  const images = [...document.images];
  const cut = [...article.querySelectorAll(".math, table, img, .actbook-box, .admonition")]
    .filter((node) => seen(node) && escapes(node)).map(nameOf);
  return {
    wide, culprits, cut, faint: [...new Set(faint)], raw,
    theme: document.documentElement.dataset.theme,
    formulas: article.querySelectorAll("span.math, div.math").length,
    rendered: article.querySelectorAll("mjx-container svg").length,
    empty: [...article.querySelectorAll("span.math, div.math")].filter((m) => !m.querySelector("mjx-container svg")).map(nameOf),
    failed: [...document.querySelectorAll("mjx-merror, [data-mjx-error], merror, [data-mml-node=merror]")]
      .map((node) => node.getAttribute("title") ?? node.textContent.slice(0, 80)),
    speechless: images.filter((image) => !(image.getAttribute("alt") ?? "").trim()).map(nameOf),
    broken: images.filter((image) => seen(image) && image.complete && image.naturalWidth === 0).map(nameOf),
    wrong: images.filter((image) => seen(image) && image.classList.contains(dark ? "only-light" : "only-dark")).map(nameOf),
    single: images.filter((image) => ["only-light", "only-dark"].some((c) => image.classList.contains(c)) &&
      !images.some((other) => other !== image && other.alt === image.alt &&
        other.classList.contains(image.classList.contains("only-light") ? "only-dark" : "only-light"))).map(nameOf),
    links: [...document.querySelectorAll("a[href]")].map((link) => link.href),
    anchors: [...document.querySelectorAll("[id], a[name]")].map((node) => node.id || node.name),
    captions: [...article.querySelectorAll("figure figcaption")].filter((node) => !seen(node)).map(nameOf),
  };
}
