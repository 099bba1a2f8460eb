// The choices above a gallery hide the tiles that do not match them.
document.addEventListener("change", () => {
  const chosen = [...document.querySelectorAll("select[data-filter]")];
  for (const tile of document.querySelectorAll(".gallery .tile")) {
    tile.hidden = chosen.some((one) => one.value && tile.dataset[one.dataset.filter] !== one.value);
  }
});
