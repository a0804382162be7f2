import numpy as np
import pytest

from sagittal.phantom.noise import smooth_field, spline_matrix


def test_spline_weights_add_up_to_one_and_reproduce_a_line() -> None:
    where = np.linspace(1.0, 7.5, 50)
    matrix = spline_matrix(where, 10)
    np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-6)
    np.testing.assert_allclose(matrix @ np.arange(10), where, atol=1e-5)


@pytest.mark.parametrize("scale", [6.0, 20.0])
def test_fields_have_unit_variance_and_vary_slowly(scale: float) -> None:
    rng = np.random.default_rng(0)
    stack = np.stack([smooth_field(rng, (12, 40, 40), (4.0, 2.0, 2.0), scale) for _ in range(40)])
    assert abs(stack.mean()) < 0.1
    assert stack.std() == pytest.approx(1.0, abs=0.1)
    step = np.diff(stack, axis=-1).std() / stack.std()
    assert step < 1.6 * 2.0 / scale  # neighbours 2 mm apart agree more the smoother the field
