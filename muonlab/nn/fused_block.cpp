#include <algorithm>
#include <limits>

#include "muonlab/kernels/attention.h"
#include "muonlab/nn/fused_state_internal.h"

namespace muonlab::nn {

namespace {

using kernels::Rows;

template <typename Body>
void in_chunks(const PassThread& t, Body body) {
  const std::size_t end = t.row_end();
  for (std::size_t row = t.row_begin(); row < end; row += kChunkRows) {
    body(row, std::min(kChunkRows, end - row));
  }
}

kernels::HeadPass head_pass_of(const PassThread& t, std::size_t row) {
  // Queries and keys lie side by side: twice the heads.
  return {.heads = 2 * t.sizes.heads,
          .features = t.sizes.head_features,
          .first_position = row,
          .context = t.sizes.length,
          .cosine = t.cosine,
          .sine = t.sine,
          .norm = t.qk_norm,
          .eps = t.eps};
}

bool prepares_heads(const PassThread& t) {
  return t.cosine != nullptr || t.qk_norm;
}

float* inverse_at(const PassThread& t, float* inverse, std::size_t row) {
  return inverse == nullptr ? nullptr : inverse + row * 2 * t.sizes.heads;
}

// A head's columns of a (rows, stride) matrix, in its sequence.
Rows head_rows(const PassThread& t, std::byte* data, std::size_t stride,
               std::size_t sequence, std::size_t column) {
  Rows rows = t.rows(data, sequence * t.sizes.length, stride);
  rows.data = static_cast<std::byte*>(rows.data) +
              column * kernels::bytes_of(t.sizes.element);
  return rows;
}

// Heads of sequences are handed out in order, so that with a sequence or more
// for each thread they are those of its own rows.
template <typename Body>
void over_heads(const PassThread& t, Body body) {
  const std::size_t tasks = t.sizes.batch * t.sizes.heads;
  const std::size_t end = tasks * (t.rank + 1) / t.ranks;
  for (std::size_t task = tasks * t.rank / t.ranks; task < end; ++task) {
    body(task, task / t.sizes.heads,
         task % t.sizes.heads * t.sizes.head_features);
  }
}

// Multiply-adds of `products` causal products of a head, twice.
double attention_flops(const PassThread& t, double products) {
  const auto length = static_cast<double>(t.sizes.length);
  return products * length * length *
         static_cast<double>(t.sizes.head_features);
}

void attention_rows(const PassThread& t, const BlockMemory& block,
                    const BlockWeights& weights, std::size_t layer) {
  const PassSizes& s = t.sizes;
  over_heads(t, [&](std::size_t task, std::size_t sequence,
                    std::size_t column) {
    float* largest = nullptr;
    if (t.watch_logits) {
      largest = t.memory.largest_logits + layer * s.batch * s.heads + task;
      *largest = -std::numeric_limits<float>::infinity();
    }
    const PassProfile::Timer timer(t.profile, PassPart::kAttention,
                                   attention_flops(t, 2));
    kernels::attention_forward(
        {.tokens = s.length,
         .features = s.head_features,
         .scale = weights.scale,
         .q = head_rows(t, block.qkv, 3 * s.width, sequence, column),
         .k = head_rows(t, block.qkv, 3 * s.width, sequence, s.width + column),
         .v = head_rows(t, block.qkv, 3 * s.width, sequence,
                        2 * s.width + column),
         .o = head_rows(t, block.mixed, s.width, sequence, column),
         .lse = block.lse + task * s.length,
         .largest_logit = largest},
        t.own().attention);
  });
}

void attention_gradients(const PassThread& t, const BlockMemory& block,
                         const BlockWeights& weights) {
  const PassSizes& s = t.sizes;
  const BackwardMemory& b = t.memory.backward;
  over_heads(
      t, [&](std::size_t task, std::size_t sequence, std::size_t column) {
        const auto part = [&](std::byte* data, std::size_t index) {
          return head_rows(t, data, 3 * s.width, sequence,
                           index * s.width + column);
        };
        const PassProfile::Timer timer(t.profile, PassPart::kAttentionBackward,
                                       attention_flops(t, 5));
        kernels::attention_backward(
            {.tokens = s.length,
             .features = s.head_features,
             .scale = weights.scale,
             .q = part(block.qkv, 0),
             .k = part(block.qkv, 1),
             .v = part(block.qkv, 2),
             .o = head_rows(t, block.mixed, s.width, sequence, column),
             .lse = block.lse + task * s.length,
             .d_o = head_rows(t, b.d_mixed, s.width, sequence, column),
             .dq = part(b.d_qkv, 0),
             .dk = part(b.d_qkv, 1),
             .dv = part(b.d_qkv, 2)},
            t.own().attention);
      });
}

}  // namespace

void block_forward(const PassThread& t, const BlockMemory& block,
                   const BlockWeights& weights, std::size_t layer, float* out) {
  const PassSizes& s = t.sizes;
  const Rows normed = t.rows(t.own().normed, 0, s.width);
  in_chunks(t, [&](std::size_t row, std::size_t rows) {
    {
      const PassProfile::Timer timer(t.profile, PassPart::kNorm);
      kernels::rms_norm(rows, s.width, block.x + row * s.width, s.width,
                        weights.first_gain, t.eps, normed,
                        block.first_inverse + row);
    }
    const Rows qkv = t.rows(block.qkv, row, 3 * s.width);
    t.product(PassPart::kForward, normed, weights.qkv->rows(), qkv, 0, rows);
    if (!prepares_heads(t)) return;
    const PassProfile::Timer timer(t.profile, PassPart::kHeads);
    kernels::prepare_heads(rows, head_pass_of(t, row), qkv,
                           inverse_at(t, block.heads_inverse, row));
  });
  t.wait();  // keys and values of rows of others
  attention_rows(t, block, weights, layer);
  t.wait();  // heads by others of these rows
  const Rows hidden = t.rows(t.own().hidden, 0, s.hidden);
  in_chunks(t, [&](std::size_t row, std::size_t rows) {
    float* middle = block.middle + row * s.width;
    t.product(PassPart::kForward, t.rows(block.mixed, row, s.width),
              weights.output->rows(),
              {middle, s.width, kernels::Element::kFloat32}, 0, rows,
              block.x + row * s.width);
    {
      const PassProfile::Timer timer(t.profile, PassPart::kNorm);
      kernels::rms_norm(rows, s.width, middle, s.width, weights.second_gain,
                        t.eps, normed, block.second_inverse + row);
    }
    const Rows up = t.rows(block.up, row, s.up);
    t.product(PassPart::kForward, normed, weights.up->rows(), up, 0, rows);
    if (out == nullptr) return;
    {
      const PassProfile::Timer timer(t.profile, PassPart::kActivation);
      kernels::activate(s.activation, rows, s.hidden, up, hidden);
    }
    t.product(PassPart::kForward, hidden, weights.down->rows(),
              {out + row * s.width, s.width, kernels::Element::kFloat32}, 0,
              rows, middle);
  });
}

void block_backward(const PassThread& t, const BlockMemory& block,
                    const BlockWeights& weights, float* gains) {
  const PassSizes& s = t.sizes;
  const BackwardMemory& b = t.memory.backward;
  const Rows d_normed = t.rows(t.own().normed, 0, s.width);
  // dx through a norm whose output has the gradient d_normed.
  const auto through_norm =
      [&](std::size_t row, std::size_t rows, const float* x, const float* gain,
          const float* inverse, std::byte* copy, float* d_gain) {
        const PassProfile::Timer timer(t.profile, PassPart::kNorm);
        kernels::rms_norm_backward(rows, s.width, d_normed, x + row * s.width,
                                   s.width, gain, inverse + row,
                                   b.dx + row * s.width, s.width,
                                   t.rows(copy, row, s.width), d_gain);
      };
  const auto norm_again = [&](std::size_t row, std::size_t rows, const float* x,
                              const float* gain, const float* inverse,
                              std::byte* to) {
    const PassProfile::Timer timer(t.profile, PassPart::kNorm);
    kernels::rms_norm_again(rows, s.width, x + row * s.width, s.width, gain,
                            inverse + row, t.rows(to, row, s.width));
  };

  in_chunks(t, [&](std::size_t row, std::size_t rows) {
    const Rows hidden = t.rows(b.hidden, row, s.hidden);
    const Rows up = t.rows(block.up, row, s.up);
    t.product(PassPart::kInputGradient, t.rows(b.d_out, row, s.width),
              weights.down->columns(), hidden, 0, rows);
    {
      const PassProfile::Timer timer(t.profile, PassPart::kActivation);
      kernels::activate_backward(s.activation, rows, s.hidden, up, hidden);
    }
    t.product(PassPart::kInputGradient, up, weights.up->columns(), d_normed, 0,
              rows);
    through_norm(row, rows, block.middle, weights.second_gain,
                 block.second_inverse, b.d_middle, gains + s.width);
    norm_again(row, rows, block.middle, weights.second_gain,
               block.second_inverse, b.normed);
    t.product(PassPart::kInputGradient, t.rows(b.d_middle, row, s.width),
              weights.output->columns(), t.rows(b.d_mixed, row, s.width), 0,
              rows);
  });
  t.wait();
  t.weight_gradient(PassPart::kWeightGradient, b.d_out, s.width, b.hidden,
                    s.hidden, s.rows, weights.d_down, t.accumulate);
  t.weight_gradient(PassPart::kWeightGradient, block.up, s.up, b.normed,
                    s.width, s.rows, weights.d_up, t.accumulate);
  t.weight_gradient(PassPart::kWeightGradient, b.d_middle, s.width, block.mixed,
                    s.width, s.rows, weights.d_output, t.accumulate);
  attention_gradients(t, block, weights);
  t.wait();
  in_chunks(t, [&](std::size_t row, std::size_t rows) {
    const Rows d_qkv = t.rows(b.d_qkv, row, 3 * s.width);
    if (prepares_heads(t)) {
      const PassProfile::Timer timer(t.profile, PassPart::kHeads);
      kernels::prepare_heads_backward(
          rows, head_pass_of(t, row), t.rows(block.qkv, row, 3 * s.width),
          inverse_at(t, block.heads_inverse, row), d_qkv);
    }
    t.product(PassPart::kInputGradient, d_qkv, weights.qkv->columns(), d_normed,
              0, rows);
    through_norm(row, rows, block.x, weights.first_gain, block.first_inverse,
                 b.d_out, gains);
    norm_again(row, rows, block.x, weights.first_gain, block.first_inverse,
               b.first_normed);
  });
  t.wait();
  t.weight_gradient(PassPart::kWeightGradient, b.d_qkv, 3 * s.width,
                    b.first_normed, s.width, s.rows, weights.d_qkv,
                    t.accumulate);
  // Without a wait: the block below writes none of the two before its first.
}

}  // namespace muonlab::nn
