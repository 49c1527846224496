// What the parts of a fused pass share: sizes, memory, and one thread's place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "muonlab/core/thread_pool.h"
#include "muonlab/kernels/row_passes.h"
#include "muonlab/nn/fused_weights_internal.h"
#include "muonlab/nn/model_config.h"
#include "muonlab/nn/pass_profile.h"

namespace muonlab::nn {

/// Rows that a layer works through at a time, so that they stay in the cache.
inline constexpr std::size_t kChunkRows = 256;

struct PassSizes {
  std::size_t batch = 0;
  std::size_t length = 0;
  std::size_t rows = 0;  ///< batch * length
  std::size_t width = 0;
  std::size_t heads = 0;
  std::size_t head_features = 0;
  std::size_t hidden = 0;
  std::size_t up = 0;  ///< columns before the activation: hidden, or twice
  std::size_t vocabulary = 0;
  std::size_t layers = 0;
  std::size_t head_rows = 0;  ///< of a chunk of logits
  kernels::Element element = kernels::Element::kFloat32;
  kernels::Activation activation = kernels::Activation::kSwiGlu;
  bool backward = false;
  bool checkpointing = false;

  friend bool operator==(const PassSizes&, const PassSizes&) = default;
};

/// What the backward pass needs of a block. Several layers share it where
/// nothing is kept.
struct BlockMemory {
  float* x = nullptr;               ///< (rows, width) that enters
  float* middle = nullptr;          ///< (rows, width) after the attention
  std::byte* qkv = nullptr;         ///< (rows, 3 width) after rotary
  std::byte* mixed = nullptr;       ///< (rows, width) of the attention
  std::byte* up = nullptr;          ///< (rows, up) before the activation
  float* lse = nullptr;             ///< (batch, heads, length)
  float* first_inverse = nullptr;   ///< (rows), of the norms
  float* second_inverse = nullptr;  ///< (rows)
  float* heads_inverse = nullptr;   ///< (rows, 2 heads), under QK-norm
};

/// For the way back, one for all layers.
struct BackwardMemory {
  float* dx = nullptr;            ///< (rows, width)
  std::byte* d_out = nullptr;     ///< its copy as operand, after the block
  std::byte* d_middle = nullptr;  ///< and in its middle
  std::byte* normed = nullptr;    ///< (rows, width), before the feed-forward
  std::byte* first_normed = nullptr;  ///< before the attention
  std::byte* hidden = nullptr;        ///< (rows, hidden)
  std::byte* d_mixed = nullptr;       ///< (rows, width)
  std::byte* d_qkv = nullptr;         ///< (rows, 3 width)
};

/// Of one thread.
struct ThreadMemory {
  std::byte* product = nullptr;
  std::byte* attention = nullptr;
  std::byte* normed = nullptr;  ///< (kChunkRows, width)
  std::byte* hidden = nullptr;  ///< (kChunkRows, hidden)
  float* logits = nullptr;      ///< (kHeadBlock, vocabulary)
  float* gains = nullptr;       ///< (2 layers + 1, width)
};

/// Rows of float32 logits that a thread holds at a time.
inline constexpr std::size_t kHeadBlock = 32;

struct PassMemory {
  std::vector<BlockMemory> blocks;
  BackwardMemory backward;
  std::vector<ThreadMemory> threads;
  float* out = nullptr;          ///< (rows, width) that leaves the last block
  float* out_inverse = nullptr;  ///< (rows)
  std::byte* out_normed = nullptr;  ///< (head_rows, width)
  std::byte* d_logits = nullptr;    ///< (head_rows, vocabulary)
  float* losses = nullptr;          ///< (rows)
  std::uint8_t* hits = nullptr;     ///< (rows), in a forward pass
  float* largest_logits = nullptr;  ///< (layers, batch, heads)
};

/// Lays everything out in `space`, which grows where it must.
[[nodiscard]] PassMemory lay_out(const PassSizes& sizes, std::size_t threads,
                                 bool qk_norm, kernels::Workspace& space);

struct BlockWeights {
  const float* first_gain = nullptr;
  const float* second_gain = nullptr;
  PackedWeight* qkv = nullptr;
  PackedWeight* output = nullptr;
  PackedWeight* up = nullptr;
  PackedWeight* down = nullptr;
  // Gradients, float32 in C order; null in a forward pass.
  float* d_qkv = nullptr;
  float* d_output = nullptr;
  float* d_up = nullptr;
  float* d_down = nullptr;
  float scale = 1;  ///< of the attention's logits
};

/// One thread's place in the pass that is under way.
struct PassThread {
  const PassSizes& sizes;
  const PassMemory& memory;
  core::Barrier& barrier;
  std::size_t rank = 0;
  std::size_t ranks = 1;
  PassProfile* profile = nullptr;  ///< of the first thread, if wanted
  const float* cosine = nullptr;
  const float* sine = nullptr;
  bool qk_norm = false;
  float eps = 0;
  bool accumulate = false;
  bool watch_logits = false;

  [[nodiscard]] const ThreadMemory& own() const { return memory.threads[rank]; }
  /// The rows of activations that are this thread's.
  [[nodiscard]] std::size_t row_begin() const { return cut(sizes.rows, rank); }
  [[nodiscard]] std::size_t row_end() const {
    return cut(sizes.rows, rank + 1);
  }
  /// Of `count` equal parts, cut where whole tiles end.
  [[nodiscard]] std::size_t cut(std::size_t count, std::size_t at) const {
    if (at >= ranks) return count;
    const std::size_t place = count * at / ranks;
    return count >= 16 * ranks ? place / 16 * 16 : place;
  }
  void wait() const {
    const PassProfile::Timer timer(profile, PassPart::kWait);
    barrier.wait();
  }
  [[nodiscard]] kernels::Rows rows(std::byte* data, std::size_t row,
                                   std::size_t stride) const {
    return {data + row * stride * kernels::bytes_of(sizes.element), stride,
            sizes.element};
  }
  /// result rows [begin, end) = left right^T (+ addend). The pointers are those
  /// of row 0.
  void product(PassPart part, const kernels::ConstRows& left,
               const kernels::Packed& right, const kernels::Rows& result,
               std::size_t begin, std::size_t end,
               const float* addend = nullptr) const;
  /// This thread's share of dW (+)= dy^T x.
  void weight_gradient(PassPart part, std::byte* dy, std::size_t dy_columns,
                       std::byte* x, std::size_t x_columns, std::size_t depth,
                       float* result, bool add) const;
};

/// x -> out of one block for this thread's rows; all threads together.
void block_forward(const PassThread& thread, const BlockMemory& block,
                   const BlockWeights& weights, std::size_t layer, float* out);
/// memory.backward.dx and d_out, gradients of what left the block, become those
/// of what entered. `gains`: this thread's gradients of the two gains.
void block_backward(const PassThread& thread, const BlockMemory& block,
                    const BlockWeights& weights, float* gains);

struct HeadWeights {
  const float* gain = nullptr;
  PackedWeight* head = nullptr;
  float* d_head = nullptr;
};
/// Fills memory.losses from memory.out and, in a backward pass, dx and d_out
/// with `scale` times the gradient of the losses' sum, and the head's gradient;
/// in a forward pass memory.hits as well.
void head_pass(const PassThread& thread, const HeadWeights& weights,
               const std::int64_t* targets, float scale, float* gain);

}  // namespace muonlab::nn
