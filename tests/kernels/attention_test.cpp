// Attention at every level against float64: sizes around the panel's 16 and
// the blocks of 48 and 64, both elements, operands inside a fused matrix.
#include "muonlab/kernels/attention.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/kernels/packed.h"
#include "tests/kernels/attention_reference.h"
#include "tests/support/expect_error.h"

namespace muonlab::kernels {
namespace {

using testing::attention_bounds;
using testing::attention_reference;
using testing::AttentionBounds;
using testing::AttentionInputs;
using testing::AttentionValues;
using testing::Doubles;

constexpr Element kElements[] = {Element::kFloat32, Element::kBFloat16};
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

double unit_of(Element element) {
  return element == Element::kFloat32 ? 0x1p-24 : 0x1p-8;
}

std::uint32_t narrow(float x) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// `parts` matrices side by side, as the output of a fused layer has them, with
// NaN between and around them.
class Fused {
 public:
  Fused(std::size_t tokens, std::size_t features, std::size_t parts,
        Element element)
      : tokens_(tokens),
        features_(features),
        width_(features + 3),
        stride_(parts * width_ + 2),
        element_(element),
        bits_(tokens * stride_ + 5, poison()) {}

  [[nodiscard]] Rows rows(std::size_t part) {
    const std::size_t at = place(part, 0, 0);
    if (element_ == Element::kFloat32) {
      return {bits_.data() + at, stride_, element_};
    }
    halves_.assign(bits_.begin(), bits_.end());
    return {halves_.data() + at, stride_, element_};
  }
  // After the kernels wrote.
  void collect() {
    if (element_ == Element::kBFloat16) {
      bits_.assign(halves_.begin(), halves_.end());
    }
  }
  void set(std::size_t part, const Doubles& values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto x = static_cast<float>(values[i]);
      bits_[place(part, i / features_, i % features_)] =
          element_ == Element::kFloat32 ? std::bit_cast<std::uint32_t>(x)
                                        : narrow(x);
    }
  }
  [[nodiscard]] Doubles get(std::size_t part) const {
    Doubles values(tokens_ * features_);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint32_t bits =
          bits_[place(part, i / features_, i % features_)];
      values[i] = std::bit_cast<float>(
          element_ == Element::kFloat32 ? bits : bits << 16);
    }
    return values;
  }
  [[nodiscard]] bool padding_is_untouched() const {
    for (std::size_t i = 0; i < bits_.size(); ++i) {
      const std::size_t column = i % stride_;
      const bool inside = i >= 1 && i / stride_ < tokens_ && column >= 1 &&
                          (column - 1) % width_ < features_ &&
                          column - 1 < stride_ - 2;
      if (!inside && bits_[i] != poison()) return false;
    }
    return true;
  }

 private:
  [[nodiscard]] std::uint32_t poison() const {
    return element_ == Element::kFloat32 ? 0x7fc0dead : 0x7fde;
  }
  [[nodiscard]] std::size_t place(std::size_t part, std::size_t row,
                                  std::size_t column) const {
    return 1 + row * stride_ + part * width_ + column;
  }

  std::size_t tokens_, features_, width_, stride_;
  Element element_;
  std::vector<std::uint32_t> bits_;  // low halves alone for bfloat16
  std::vector<std::uint16_t> halves_;
};

Doubles random_values(std::size_t n, std::uint64_t stream, double size,
                      Element element) {
  const core::Random random(stream, "attention");
  Doubles values(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto x = static_cast<float>(size * random.normal(0, i));
    values[i] = element == Element::kFloat32
                    ? x
                    : std::bit_cast<float>(narrow(x) << 16);
  }
  return values;
}

AttentionInputs random_inputs(std::size_t tokens, std::size_t features,
                              Element element, double size = 1) {
  const std::size_t n = tokens * features;
  return {
      .tokens = tokens,
      .features = features,
      .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(features))),
      .q = random_values(n, 1, size, element),
      .k = random_values(n, 2, size, element),
      .v = random_values(n, 3, 1, element),
      .d_o = random_values(n, 4, 1, element)};
}

AttentionValues run(const AttentionInputs& in, Element element,
                    SimdLevel level) {
  Fused qkv(in.tokens, in.features, 3, element);
  qkv.set(0, in.q);
  qkv.set(1, in.k);
  qkv.set(2, in.v);
  Fused output(in.tokens, in.features, 2, element);
  output.set(1, in.d_o);
  Fused gradients(in.tokens, in.features, 3, element);
  const auto part = [](const Rows& first, std::size_t index, std::size_t width,
                       Element kind) {
    Rows rows = first;
    rows.data = static_cast<std::byte*>(rows.data) +
                index * (width + 3) * bytes_of(kind);
    return rows;
  };
  const Rows inputs = qkv.rows(0);
  const Rows outputs = output.rows(0);
  const Rows results = gradients.rows(0);
  const auto of = [&](const Rows& first, std::size_t index) {
    return part(first, index, in.features, element);
  };

  // Scratch that starts as NaN, and what lies behind it.
  const std::size_t bytes =
      attention_scratch_bytes(in.tokens, in.features, element);
  Workspace memory;
  memory.reserve(bytes + 1024);
  std::byte* scratch = memory.take(bytes + 512);
  std::memset(scratch, 0xff, bytes + 512);

  std::vector<float> lse(in.tokens + 2, kNan);
  float largest = -std::numeric_limits<float>::infinity();
  attention_forward({.tokens = in.tokens,
                     .features = in.features,
                     .scale = static_cast<float>(in.scale),
                     .q = of(inputs, 0),
                     .k = of(inputs, 1),
                     .v = of(inputs, 2),
                     .o = of(outputs, 0),
                     .lse = lse.data() + 1,
                     .largest_logit = &largest},
                    scratch, level);
  attention_backward({.tokens = in.tokens,
                      .features = in.features,
                      .scale = static_cast<float>(in.scale),
                      .q = of(inputs, 0),
                      .k = of(inputs, 1),
                      .v = of(inputs, 2),
                      .o = of(outputs, 0),
                      .lse = lse.data() + 1,
                      .d_o = of(outputs, 1),
                      .dq = of(results, 0),
                      .dk = of(results, 1),
                      .dv = of(results, 2)},
                     scratch, level);
  output.collect();
  gradients.collect();
  EXPECT_TRUE(output.padding_is_untouched());
  EXPECT_TRUE(gradients.padding_is_untouched());
  EXPECT_TRUE(std::isnan(lse.front()) && std::isnan(lse.back()));
  for (std::size_t i = bytes; i < bytes + 512; ++i) {
    if (scratch[i] != std::byte{0xff}) {
      ADD_FAILURE() << "behind the scratch, byte " << i - bytes;
      break;
    }
  }
  AttentionValues values;
  values.o = output.get(0);
  values.lse.assign(lse.begin() + 1, lse.end() - 1);
  values.dq = gradients.get(0);
  values.dk = gradients.get(1);
  values.dv = gradients.get(2);
  values.largest_logit = largest;
  return values;
}

void expect_within(const Doubles& got, const Doubles& exact,
                   const Doubles& bound, const char* name) {
  ASSERT_EQ(got.size(), exact.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::abs(got[i] - exact[i]), bound[i])
        << name << " " << i << ": " << got[i] << ", expected " << exact[i];
  }
}

void expect_near(const AttentionInputs& in, Element element) {
  const AttentionValues exact = attention_reference(in);
  const AttentionBounds bound = attention_bounds(in, exact, unit_of(element));
  for (const SimdLevel level : available_simd_levels()) {
    SCOPED_TRACE(std::string(simd_level_name(level)) + " " +
                 std::to_string(in.tokens) + " x " +
                 std::to_string(in.features) +
                 (element == Element::kFloat32 ? " float32" : " bfloat16"));
    const AttentionValues got = run(in, element, level);
    expect_within(got.o, exact.o, bound.o, "o");
    expect_within(got.lse, exact.lse, bound.lse, "lse");
    expect_within({got.largest_logit}, {exact.largest_logit},
                  {bound.largest_logit}, "largest logit");
    expect_within(got.dq, exact.dq, bound.dq, "dq");
    expect_within(got.dk, exact.dk, bound.dk, "dk");
    expect_within(got.dv, exact.dv, bound.dv, "dv");
  }
}

TEST(Attention, IsNearTheReferenceAtAllSizes) {
  for (const Element element : kElements) {
    for (const std::size_t tokens : {1, 2, 15, 16, 17, 63, 64, 65, 130, 257}) {
      for (const std::size_t features : {1, 8, 31, 32, 64, 80}) {
        expect_near(random_inputs(tokens, features, element), element);
        if (HasFatalFailure()) return;
      }
    }
    for (const std::size_t features : {96, 128, 161, 256}) {
      expect_near(random_inputs(70, features, element), element);
    }
  }
}

TEST(Attention, TakesLargeLogits) {
  for (const Element element : kElements) {
    // |q.k| / sqrt(64) of some 1e4.
    expect_near(random_inputs(130, 64, element, 100), element);
    AttentionInputs in = random_inputs(65, 32, element, 100);
    in.scale = -in.scale;
    expect_near(in, element);
    in.scale = 0;
    expect_near(in, element);
  }
}

TEST(Attention, ReferenceHasTheGradientsOfItsOutput) {
  const AttentionInputs in = random_inputs(6, 4, Element::kFloat32);
  const AttentionValues exact = attention_reference(in);
  const auto loss = [](const AttentionInputs& at) {
    const AttentionValues values = attention_reference(at);
    double sum = 0;
    for (std::size_t i = 0; i < values.o.size(); ++i) {
      sum += values.o[i] * at.d_o[i];
    }
    return sum;
  };
  const auto check = [&](Doubles AttentionInputs::* input,
                         const Doubles& gradient) {
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      constexpr double kStep = 1e-5;
      AttentionInputs up = in;
      AttentionInputs down = in;
      (up.*input)[i] += kStep;
      (down.*input)[i] -= kStep;
      EXPECT_NEAR((loss(up) - loss(down)) / (2 * kStep), gradient[i], 1e-8);
    }
  };
  check(&AttentionInputs::q, exact.dq);
  check(&AttentionInputs::k, exact.dk);
  check(&AttentionInputs::v, exact.dv);
}

TEST(Attention, GivesTheSameBitsEachTime) {
  for (const Element element : kElements) {
    const AttentionInputs in = random_inputs(130, 31, element);
    for (const SimdLevel level : available_simd_levels()) {
      const AttentionValues a = run(in, element, level);
      const AttentionValues b = run(in, element, level);
      EXPECT_TRUE(a.o == b.o && a.lse == b.lse && a.dq == b.dq &&
                  a.dk == b.dk && a.dv == b.dv);
    }
  }
}

TEST(Attention, LaterTokensDoNotMatter) {
  for (const Element element : kElements) {
    const AttentionInputs all = random_inputs(130, 32, element);
    AttentionInputs some = all;
    some.tokens = 75;
    for (Doubles* x : {&some.q, &some.k, &some.v, &some.d_o}) {
      x->resize(some.tokens * some.features);
    }
    for (const SimdLevel level : available_simd_levels()) {
      AttentionValues a = run(all, element, level);
      a.o.resize(some.tokens * some.features);
      EXPECT_EQ(a.o, run(some, element, level).o);
    }
  }
}

// Rows [begin, end) all NaN, or all finite.
bool rows_are(bool nan, const Doubles& values, std::size_t features,
              std::size_t begin, std::size_t end) {
  for (std::size_t i = begin * features; i < end * features; ++i) {
    if (std::isnan(values[i]) != nan) return false;
  }
  return true;
}

TEST(Attention, NanOfAValueReachesLaterTokensAlone) {
  constexpr std::size_t kTokens = 130, kFeatures = 32, kRow = 70, kGroup = 64;
  for (const Element element : kElements) {
    AttentionInputs in = random_inputs(kTokens, kFeatures, element);
    for (std::size_t f = 0; f < kFeatures; ++f) {
      in.v[kRow * kFeatures + f] = kNan;
    }
    for (const SimdLevel level : available_simd_levels()) {
      SCOPED_TRACE(simd_level_name(level));
      const AttentionValues got = run(in, element, level);
      EXPECT_TRUE(rows_are(true, got.o, kFeatures, kRow, kTokens));
      EXPECT_TRUE(rows_are(false, got.o, kFeatures, 0, kGroup));
      EXPECT_TRUE(rows_are(false, got.lse, 1, 0, kTokens));
      EXPECT_TRUE(rows_are(true, got.dq, kFeatures, kRow, kTokens));
      EXPECT_TRUE(rows_are(false, got.dq, kFeatures, 0, kGroup));
    }
  }
}

TEST(Attention, NanOfAQueryReachesItsOutputAndWhatItSees) {
  constexpr std::size_t kTokens = 130, kFeatures = 32, kRow = 70, kEnd = 80;
  for (const Element element : kElements) {
    AttentionInputs in = random_inputs(kTokens, kFeatures, element);
    in.q[kRow * kFeatures + 3] = kNan;
    for (const SimdLevel level : available_simd_levels()) {
      SCOPED_TRACE(simd_level_name(level));
      const AttentionValues got = run(in, element, level);
      EXPECT_TRUE(rows_are(false, got.o, kFeatures, 0, kRow));
      EXPECT_TRUE(rows_are(true, got.o, kFeatures, kRow, kRow + 1));
      EXPECT_TRUE(rows_are(false, got.o, kFeatures, kRow + 1, kTokens));
      EXPECT_TRUE(rows_are(true, got.lse, 1, kRow, kRow + 1));
      EXPECT_TRUE(rows_are(true, got.dq, kFeatures, kRow, kRow + 1));
      for (const Doubles* x : {&got.dk, &got.dv}) {
        EXPECT_TRUE(rows_are(true, *x, kFeatures, 0, kRow + 1));
        EXPECT_TRUE(rows_are(false, *x, kFeatures, kEnd, kTokens));
      }
    }
  }
}

TEST(Attention, RaisesTheLargestLogit) {
  const AttentionInputs in = random_inputs(17, 8, Element::kFloat32);
  Fused qkv(17, 8, 3, Element::kFloat32);
  qkv.set(0, in.q);
  qkv.set(1, in.k);
  qkv.set(2, in.v);
  Fused output(17, 8, 1, Element::kFloat32);
  std::vector<float> lse(17);
  Workspace memory;
  memory.reserve(1 << 20);
  std::byte* scratch =
      memory.take(attention_scratch_bytes(17, 8, Element::kFloat32));
  float largest = 1e6F;
  AttentionForward call{.tokens = 17,
                        .features = 8,
                        .scale = 1,
                        .q = qkv.rows(0),
                        .k = qkv.rows(1),
                        .v = qkv.rows(2),
                        .o = output.rows(0),
                        .lse = lse.data(),
                        .largest_logit = &largest};
  attention_forward(call, scratch);
  EXPECT_EQ(largest, 1e6F);
  call.largest_logit = nullptr;
  attention_forward(call, scratch);
}

TEST(Attention, ScratchGrowsWithTheTokensAlone) {
  for (const Element element : kElements) {
    const std::size_t one = attention_scratch_bytes(1024, 64, element);
    const std::size_t four = attention_scratch_bytes(4096, 64, element);
    EXPECT_LE(four, 4 * one);
  }
}

TEST(Attention, RefusesWrongSizes) {
  testing::expect_error(ErrorKind::kInvalidArgument, {"tokens"}, [] {
    (void)attention_scratch_bytes(0, 64, Element::kFloat32);
  });
  testing::expect_error(ErrorKind::kInvalidArgument, {"features"}, [] {
    (void)attention_scratch_bytes(16, 257, Element::kFloat32);
  });
}

}  // namespace
}  // namespace muonlab::kernels
