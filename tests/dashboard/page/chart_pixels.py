"""The pixels of the chart of a session."""

from playwright.sync_api import Page

from tests.dashboard.sample_bodies import NOON_MS


def pixel(page: Page, at_ms: int, score: float) -> list[int]:
    """Return red, green, blue and opacity of the chart's pixel at a time and a score.

    The newest point of the chart is at noon.
    """
    pixel: list[int] = page.evaluate(
        """([at, score]) => {
          const over = document.querySelector(".u-over").getBoundingClientRect();
          const canvas = document.querySelector(".uplot canvas");
          const box = canvas.getBoundingClientRect();
          const scale = canvas.width / box.width;
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const x = (over.left - box.left + over.width * at) * scale;
          const y = (over.top - box.top + over.height * (1 - score)) * scale;
          return [...copy.getImageData(x, y, 1, 1).data];
        }""",
        [1 - (NOON_MS - at_ms) / 300_000, score],
    )
    return pixel
