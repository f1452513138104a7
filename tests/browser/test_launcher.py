"""The tile in JupyterLab's launcher opens a notebook with the workbench."""


def test_the_tile_opens_the_workbench(jupyter, page, shoot):
    page.goto(f"{jupyter.url}/lab?reset")
    tile = page.locator(".jp-LauncherCard", has_text="drizzlewb")
    tile.wait_for()
    shoot(page, "tile")
    tile.click()
    page.wait_for_selector(".dwb-steps button")
    assert (jupyter.work / "workbench.ipynb").is_file()
    shoot(page)
