"""What is compiled early is what a reduction calls later."""

import subprocess
import sys
import textwrap


def test_types_are_those_of_a_reduction(tiny_set, tmp_path):
    """After a reduction, compiling adds no machine code for other types."""
    code = """
        import sys
        import drizzlewb as dw
        from drizzlewb.kernels import drizzle, median, overlap
        from drizzlewb.kernels.early import compile_later_steps

        output, *files = sys.argv[1:]
        dw.reduce(dw.read_exposures(files), output=output)
        functions = overlap._square, median._combine, drizzle.finish
        before = [list(function.signatures) for function in functions]
        compile_later_steps()
        assert [list(function.signatures) for function in functions] == before
        assert [len(signatures) for signatures in before] == [1, 1, 1]
    """
    files = sorted(map(str, tiny_set.glob("j8ny01*_flc.fits")))[:3]
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "F606W"), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
