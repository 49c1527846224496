#include <algorithm>

#include "muonlab/nn/fused_state_internal.h"

namespace muonlab::nn {

namespace {

using kernels::Element;
using kernels::Rows;

// One chunk of `count` rows from `first` on; all threads together.
struct Chunk {
  std::size_t first;
  std::size_t count;
};

// Whether the target is the first of the largest logits.
bool is_hit(const float* logits, std::size_t count, std::int64_t target) {
  return std::max_element(logits, logits + count) - logits == target;
}

// The chunk's rows of this thread: normed, multiplied, compared.
void logits_of(const PassThread& t, const HeadWeights& weights,
               const Chunk& chunk, const std::int64_t* targets, float scale) {
  const PassSizes& s = t.sizes;
  const PassMemory& m = t.memory;
  const std::size_t end = t.cut(chunk.count, t.rank + 1);
  for (std::size_t row = t.cut(chunk.count, t.rank); row < end;
       row += kHeadBlock) {
    const std::size_t rows = std::min(kHeadBlock, end - row);
    const std::size_t place = chunk.first + row;
    const Rows normed = t.rows(m.out_normed, row, s.width);
    {
      const PassProfile::Timer timer(t.profile, PassPart::kNorm);
      kernels::rms_norm(rows, s.width, m.out + place * s.width, s.width,
                        weights.gain, t.eps, normed, m.out_inverse + place);
    }
    const Rows logits{t.own().logits, s.vocabulary, Element::kFloat32};
    t.product(PassPart::kHeadProducts, normed, weights.head->rows(), logits, 0,
              rows);
    const PassProfile::Timer timer(t.profile, PassPart::kCrossEntropy);
    if (!s.backward) {
      for (std::size_t i = 0; i < rows; ++i) {
        m.hits[place + i] = is_hit(t.own().logits + i * s.vocabulary,
                                   s.vocabulary, targets[place + i]);
      }
    }
    const Rows d_logits =
        s.backward ? t.rows(m.d_logits, row, s.vocabulary) : Rows{};
    kernels::cross_entropy(rows, s.vocabulary, logits, targets + place, scale,
                           m.losses + place, d_logits);
  }
}

// dx and d_out of the chunk's rows of this thread.
void input_gradient(const PassThread& t, const HeadWeights& weights,
                    const Chunk& chunk, float* gain) {
  const PassSizes& s = t.sizes;
  const PassMemory& m = t.memory;
  const BackwardMemory& b = m.backward;
  const Rows d_normed = t.rows(t.own().normed, 0, s.width);
  const std::size_t end = t.cut(chunk.count, t.rank + 1);
  for (std::size_t row = t.cut(chunk.count, t.rank); row < end;
       row += kChunkRows) {
    const std::size_t rows = std::min(kChunkRows, end - row);
    const std::size_t place = chunk.first + row;
    t.product(PassPart::kHeadProducts, t.rows(m.d_logits, row, s.vocabulary),
              weights.head->columns(), d_normed, 0, rows);
    const PassProfile::Timer timer(t.profile, PassPart::kNorm);
    float* dx = b.dx + place * s.width;
    std::fill_n(dx, rows * s.width, 0.0F);
    kernels::rms_norm_backward(rows, s.width, d_normed, m.out + place * s.width,
                               s.width, weights.gain, m.out_inverse + place, dx,
                               s.width, t.rows(b.d_out, place, s.width), gain);
  }
}

}  // namespace

void head_pass(const PassThread& t, const HeadWeights& weights,
               const std::int64_t* targets, float scale, float* gain) {
  const PassSizes& s = t.sizes;
  for (std::size_t first = 0; first < s.rows; first += s.head_rows) {
    const Chunk chunk{first, std::min(s.head_rows, s.rows - first)};
    // A chunk is cut among the threads anew: its rows may be another's.
    t.wait();
    logits_of(t, weights, chunk, targets, scale);
    if (!s.backward) continue;
    input_gradient(t, weights, chunk, gain);
    t.wait();
    t.weight_gradient(PassPart::kHeadProducts, t.memory.d_logits, s.vocabulary,
                      t.memory.out_normed, s.width, chunk.count, weights.d_head,
                      t.accumulate || first > 0);
  }
  t.wait();
}

}  // namespace muonlab::nn
