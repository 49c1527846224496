#include "muonlab/linalg/matmul.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdlib>
#include <optional>
#include <string_view>

#include "muonlab/core/error.h"

namespace muonlab::linalg {

namespace {

// x (m, k), weight (n, k), bias, attr, scalars, algorithm -> x weight^T.
using LinearPointwise = at::Tensor(const at::Tensor&, const at::Tensor&,
                                   const std::optional<at::Tensor>&,
                                   c10::string_view,
                                   c10::List<std::optional<at::Scalar>>,
                                   std::optional<c10::string_view>);

std::optional<c10::TypedOperatorHandle<LinearPointwise>> find_onednn() {
  const char* wish = std::getenv("MUONLAB_MATMUL");
  if (wish != nullptr) {
    const std::string_view name(wish);
    MUONLAB_CHECK(name == "aten" || name == "onednn", "MUONLAB_MATMUL: got '",
                  name, "', expected aten or onednn");
    if (name == "aten") return std::nullopt;
  }
  const auto schema = c10::Dispatcher::singleton().findSchema(
      {"mkldnn::_linear_pointwise", ""});
  if (!schema.has_value()) return std::nullopt;
  return schema->typed<LinearPointwise>();
}

const auto& onednn() {
  static const auto kOperator = find_onednn();
  return kOperator;
}

at::Tensor onednn_product(const at::Tensor& a, const at::Tensor& b) {
  return onednn()->call(a, b.t(), std::nullopt, "none",
                        c10::List<std::optional<at::Scalar>>(), "");
}

// Below this many multiply-adds the oneDNN call's own cost shows.
constexpr std::int64_t kSmall = 32 * 32 * 32;

}  // namespace

const char* matmul_backend() {
  return onednn().has_value() ? "onednn" : "aten";
}

at::Tensor matmul(const at::Tensor& a, const at::Tensor& b) {
  const bool fits = a.scalar_type() == at::kFloat && a.device().is_cpu() &&
                    a.size(-2) * a.size(-1) * b.size(-1) > kSmall;
  if (!fits || !onednn().has_value()) {
    return a.dim() == 2 ? at::mm(a, b) : at::bmm(a, b);
  }
  if (a.dim() == 2) return onednn_product(a, b);
  at::Tensor products =
      at::empty({a.size(0), a.size(1), b.size(2)}, a.options());
  for (std::int64_t i = 0; i < a.size(0); ++i) {
    products.select(0, i).copy_(onednn_product(a.select(0, i), b.select(0, i)));
  }
  return products;
}

}  // namespace muonlab::linalg
