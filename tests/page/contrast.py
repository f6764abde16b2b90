"""How well a page can be read, measured in the browser."""

# https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio, of each element with text of its own against the
# nearest background behind it; one of each pair of colours.
CONTRASTS = """
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = parts(colour).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (node) => {
  const colour = getComputedStyle(node).backgroundColor;
  return parts(colour)[3] === 0 ? behind(node.parentElement) : colour;
};
const found = new Map();
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
  if (!own || !node.checkVisibility()) continue;
  const pair = [getComputedStyle(node).color, behind(node)];
  const [high, low] = pair.map(light).sort((a, b) => b - a);
  found.set(pair.join(), { pair, ratio: (high + 0.05) / (low + 0.05), text: node.textContent });
}
return [...found.values()];
"""
