// QK-clip (MuonClip; Kimi K2, arXiv 2507.20534): query and key heads whose
// attention logits grew beyond a threshold are scaled back.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace muonlab::optim {

/// Where one attention layer keeps its query and key rows.
struct AttentionHeads {
  std::string name = {};   ///< of the layer, for messages
  std::string query = {};  ///< parameter; may be the same fused one as `key`
  std::int64_t query_row = 0;  ///< first row of head 0
  std::string key = {};
  std::int64_t key_row = 0;
  std::int64_t heads = 1;      ///< query heads
  std::int64_t key_heads = 1;  ///< divides `heads`; each serves a group of them
  std::int64_t head_rows = 1;  ///< rows of a head
};

/// A layer and the way to its logits: `largest` returns, per query head, the
/// largest q.k/sqrt(d) (unmasked pairs) over the batch that the gradients come
/// from, as a float tensor of `heads` values. What it returns was measured with
/// the weights before the step; clipping acts on the next forward pass.
struct AttentionSource {
  AttentionHeads layout;
  std::function<at::Tensor()> largest;
};

/// Scales the rows of each head whose logit exceeds `threshold` so that the
/// same batch would reach exactly the threshold: by sqrt(threshold / logit) on
/// query and key rows; where a key head serves several query heads, by
/// threshold / logit on the query rows alone, so that no head is scaled for its
/// neighbour. Rotary positions do not matter (the rotation is linear); with
/// normalised queries and keys the clip would have no effect, so do not use it
/// there. Changes `query` and `key` (rows of the layout). Returns how many
/// heads were scaled.
std::int64_t qk_clip_(at::Tensor& query, at::Tensor& key,
                      const AttentionHeads& layout, const at::Tensor& largest,
                      double threshold);

}  // namespace muonlab::optim
