#include "muonlab/train/batch.h"

#include <ATen/ATen.h>

#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/linalg/tensor_view.h"

namespace muonlab::train {

Batch gather(std::span<const std::int32_t> tokens,
             std::span<const std::int64_t> starts, std::int64_t context) {
  const auto length = static_cast<std::size_t>(context) + 1;
  std::vector<std::int64_t> windows;
  windows.reserve(starts.size() * length);
  for (const std::int64_t start : starts) {
    MUONLAB_CHECK(
        start >= 0 && static_cast<std::size_t>(start) + length <= tokens.size(),
        "batch: a window at token ", start, " of ", length,
        " tokens does not fit a sequence of ", tokens.size());
    const auto window = tokens.subspan(static_cast<std::size_t>(start), length);
    windows.insert(windows.end(), window.begin(), window.end());
  }
  const at::Tensor all =
      linalg::tensor_of(windows).view({-1, static_cast<std::int64_t>(length)});
  return {all.narrow(1, 0, context).contiguous(),
          all.narrow(1, 1, context).contiguous()};
}

}  // namespace muonlab::train
