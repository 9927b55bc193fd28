// Long names in lists break after a dot or an underscore, and nowhere else.
document.addEventListener("DOMContentLoaded", () => {
  const names = ".bd-sidebar-primary a, .bd-sidebar-secondary a, .bd-article :is(h1, h2, h3)";
  for (const element of document.querySelectorAll(names)) {
    const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) found.push(texts.currentNode);
    for (const text of found) {
      const parts = text.data.split(/(?<=[._])(?=\w)/);
      if (parts.length > 1) text.replaceWith(...parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part])));
    }
  }
});
