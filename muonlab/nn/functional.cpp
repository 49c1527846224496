#include "muonlab/nn/functional.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include "muonlab/linalg/matmul.h"

namespace muonlab::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

at::Tensor as_rows(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

struct LinearFunction : Function<LinearFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight) {
    context->save_for_backward({x, weight});
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return linalg::matmul(as_rows(x), weight.t()).view(shape);
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor g = as_rows(grads[0]);
    at::Tensor dx;
    at::Tensor dw;
    if (context->needs_input_grad(0)) {
      dx = linalg::matmul(g, saved[1]).view(saved[0].sizes());
    }
    if (context->needs_input_grad(1)) {
      dw = linalg::matmul(g.t(), as_rows(saved[0]));
    }
    return {dx, dw};
  }
};

struct RmsNormFunction : Function<RmsNormFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& gain, double eps) {
    const auto n = static_cast<double>(x.size(-1));
    const at::Tensor inverse = at::linalg_vector_norm(x, 2, {-1}, true)
                                   .square_()
                                   .div_(n)
                                   .add_(eps)
                                   .rsqrt_();
    context->save_for_backward({x, gain, inverse});
    return x.mul(inverse).mul_(gain);
  }
  // With u = x * inverse and h = g * gain: dx = inverse * (h - u mean(h u)).
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor unit = saved[0].mul(saved[2]);
    const at::Tensor gu = grads[0].mul(unit);
    const at::Tensor d_gain = as_rows(gu).sum(0);
    const auto n = static_cast<double>(unit.size(-1));
    const at::Tensor mean =
        at::mv(as_rows(gu), saved[1]).div_(n).view(saved[2].sizes());
    at::Tensor dx = grads[0].mul(saved[1]);
    dx.addcmul_(unit, mean, -1).mul_(saved[2]);
    return {dx, d_gain, at::Tensor()};
  }
};

// direction +1 rotates, -1 rotates back (the transposed map).
at::Tensor rotated(const at::Tensor& x, const at::Tensor& cosine,
                   const at::Tensor& sine, double direction) {
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor x1 = x.narrow(-1, 0, half);
  const at::Tensor x2 = x.narrow(-1, half, half);
  at::Tensor y = at::empty(x.sizes(), x.options());
  at::Tensor y1 = y.narrow(-1, 0, half);
  at::Tensor y2 = y.narrow(-1, half, half);
  at::mul_out(y1, x1, cosine);
  y1.addcmul_(x2, sine, -direction);
  at::mul_out(y2, x2, cosine);
  y2.addcmul_(x1, sine, direction);
  return y;
}

struct RotateFunction : Function<RotateFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& cosine, const at::Tensor& sine) {
    context->save_for_backward({cosine, sine});
    return rotated(x, cosine, sine, 1);
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    return {rotated(grads[0], saved[0], saved[1], -1), at::Tensor(),
            at::Tensor()};
  }
};

struct SwigluFunction : Function<SwigluFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    const auto halves = x.chunk(2, -1);
    return at::silu(halves[0]).mul_(halves[1]);
  }
  // silu'(a) = s (1 + a (1 - s)) with s the logistic function.
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const at::Tensor x = context->get_saved_variables()[0];
    const auto halves = x.chunk(2, -1);
    const at::Tensor& g = grads[0];
    at::Tensor dx = at::empty(x.sizes(), x.options());
    const auto parts = dx.chunk(2, -1);
    const at::Tensor s = at::sigmoid(halves[0]);
    const at::Tensor activated = halves[0].mul(s);
    at::Tensor d_up = parts[1];
    at::mul_out(d_up, g, activated);
    // s + activated (1 - s) = s + activated - activated s
    at::Tensor slope = at::addcmul(s, activated, s, -1).add_(activated);
    at::Tensor d_gate = parts[0];
    at::mul_out(d_gate, slope.mul_(halves[1]), g);
    return {dx};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight) {
  return LinearFunction::apply(x, weight);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& gain, double eps) {
  return RmsNormFunction::apply(x, gain, eps);
}

RotaryTable rotary_table(std::int64_t context, std::int64_t head_features,
                         double theta, at::ScalarType dtype) {
  // In float64: float32 angles lose digits at large positions.
  const auto options = torch::TensorOptions().dtype(torch::kDouble);
  const at::Tensor exponent = at::arange(0, head_features, 2, options) /
                              static_cast<double>(head_features);
  const at::Tensor frequency = at::pow(theta, -exponent);
  const at::Tensor angle =
      at::outer(at::arange(0, context, options), frequency);
  return {at::cos(angle).to(dtype), at::sin(angle).to(dtype)};
}

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) {
  const std::int64_t tokens = x.size(1);
  const auto rows = [&](const at::Tensor& t) {
    return t.narrow(0, 0, tokens).view({1, tokens, 1, t.size(1)});
  };
  return RotateFunction::apply(x, rows(table.cosine), rows(table.sine));
}

at::Tensor drop(const at::Tensor& x, double share) {
  return share > 0 ? at::dropout(x, share, /*train=*/true) : x;
}

at::Tensor swiglu(const at::Tensor& x) { return SwigluFunction::apply(x); }

}  // namespace muonlab::nn
