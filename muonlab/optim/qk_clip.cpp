#include "muonlab/optim/qk_clip.h"

#include <ATen/ATen.h>

#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/linalg/tensor_view.h"

namespace muonlab::optim {

std::int64_t qk_clip_(at::Tensor& query, at::Tensor& key,
                      const AttentionHeads& layout, const at::Tensor& largest,
                      double threshold) {
  const at::NoGradGuard no_grad;
  const std::vector<double> logits = linalg::values_of(largest);
  MUONLAB_CHECK(static_cast<std::int64_t>(logits.size()) == layout.heads,
                "qk_clip: '", layout.name, "': got ", logits.size(),
                " logits, expected one for each ", "of ", layout.heads,
                " heads");
  const bool shared = layout.key_heads != layout.heads;
  std::int64_t clipped = 0;
  for (std::int64_t head = 0; head < layout.heads; ++head) {
    const double logit = logits[static_cast<std::size_t>(head)];
    if (!(logit > threshold)) continue;
    ++clipped;
    const double factor = threshold / logit;
    const auto rows = [&](at::Tensor& whole, std::int64_t first) {
      return whole.detach().narrow(0, first + head * layout.head_rows,
                                   layout.head_rows);
    };
    rows(query, layout.query_row).mul_(shared ? factor : std::sqrt(factor));
    if (!shared) rows(key, layout.key_row).mul_(std::sqrt(factor));
  }
  return clipped;
}

}  // namespace muonlab::optim
