// What the matrix is divided by, zeros, extreme sizes, batches and devices.
#include <torch/torch.h>

#include <limits>

#include "muonlab/linalg/polar.h"
#include "tests/linalg/polar_inputs.h"
#include "tests/support/expect_error.h"

namespace muonlab {
namespace {

using testing::close;
using testing::conditioned;
using testing::error_per_direction;
using testing::expect_error;
using testing::gram_bound;
using testing::Input;
using testing::inputs;
using testing::orthonormal;
using testing::random_tensor;
using testing::Shape;

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kFloatEps = std::numeric_limits<float>::epsilon();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

constexpr PolarNorm kNorms[] = {PolarNorm::kFrobenius, PolarNorm::kSchatten4,
                                PolarNorm::kPower, PolarNorm::kAol};
constexpr Shape kShapes[] = {{6, 6}, {12, 5}, {5, 12},  {1, 9},
                             {9, 1}, {1, 1},  {40, 24}, {17, 63}};

// One step of x itself: what the iteration starts from.
PolarOptions nothing(PolarNorm norm) {
  return {.coefficients = "1,0,0", .steps = 1, .eps = 1e-30, .norm = norm};
}

double spectral(const at::Tensor& m) {
  return at::linalg_matrix_norm(m.to(at::kDouble), 2).item<double>();
}

TEST(PolarNorm, BringsTheLargestSingularValueToOneOrBelow) {
  for (std::uint64_t seed = 60; seed < 70; ++seed) {
    for (const Shape& shape : kShapes) {
      for (const Input& in : inputs(shape, seed)) {
        for (const PolarNorm norm : kNorms) {
          const double s = spectral(polar_factor(in.matrix, nothing(norm)));
          // Ten power iterations on M M^T miss a few per cent at worst on
          // such spectra, which is what the safety of 1.02 is for.
          EXPECT_LE(s, norm == PolarNorm::kPower ? 1.01 : 1 + 64 * kEps)
              << in.name << ", " << shape.rows << "x" << shape.columns
              << ", norm " << static_cast<int>(norm) << ", seed " << seed;
        }
      }
    }
  }
}

TEST(PolarNorm, AreTighterThanFrobeniusOnManyDirections) {
  const at::Tensor m = random_tensor({32, 128}, 71);
  const auto reached = [&](PolarNorm norm) {
    return spectral(polar_factor(m, nothing(norm)));
  };
  EXPECT_GT(reached(PolarNorm::kSchatten4), 2 * reached(PolarNorm::kFrobenius));
  EXPECT_GT(reached(PolarNorm::kPower), reached(PolarNorm::kSchatten4));
  EXPECT_GT(reached(PolarNorm::kAol), 1.5 * reached(PolarNorm::kFrobenius));
}

TEST(PolarNorm, EqualsItsFormula) {
  const at::Tensor m = random_tensor({7, 19}, 72);
  const at::Tensor gram = m.mm(m.t());
  const double bound = 64 * kEps;
  EXPECT_TRUE(close(polar_factor(m, nothing(PolarNorm::kFrobenius)),
                    m / m.norm(), bound));
  EXPECT_TRUE(close(polar_factor(m, nothing(PolarNorm::kSchatten4)),
                    m / gram.norm().sqrt(), bound));
  PolarOptions power = nothing(PolarNorm::kPower);
  power.power_steps = 100;
  // The gap between the first two eigenvalues, to the 200th power, is below
  // the printed digits.
  EXPECT_TRUE(close(polar_factor(m, power), m / (1.02 * spectral(m)), 1e-6));
  const at::Tensor scaled = m / gram.abs().sum(1, true).sqrt();
  EXPECT_TRUE(close(polar_factor(m, nothing(PolarNorm::kAol)), scaled, bound));
  // Columns for tall ones.
  EXPECT_TRUE(
      close(polar_factor(m.t(), nothing(PolarNorm::kAol)), scaled.t(), bound));
}

TEST(PolarNorm, AddsOrClampsEps) {
  const at::Tensor m = random_tensor({3, 5}, 73);
  for (const PolarNorm norm : kNorms) {
    PolarOptions options = nothing(norm);
    const at::Tensor free = polar_factor(m, options);
    options.eps = 0.5;
    const at::Tensor added = polar_factor(m, options);
    // m / (d + eps) with d = m / free, by rows where it is one per row.
    EXPECT_TRUE(close(added, m / (m / free + 0.5), 1e-12));
    options.eps_mode = PolarEps::kClamp;
    EXPECT_TRUE(close(polar_factor(m, options), free, 1e-12));
    EXPECT_TRUE(close(polar_factor(m * 1e-3, options), m * 1e-3 / 0.5, 1e-12));
  }
}

TEST(PolarNorm, MultipliesByTheTablesSafety) {
  const at::Tensor m = random_tensor({4, 6}, 74);
  for (const PolarNorm norm : kNorms) {
    PolarOptions options = nothing(norm);
    const at::Tensor free = polar_factor(m, options);
    options.coefficients = "1,0,0; safety=1.25";
    EXPECT_TRUE(close(polar_factor(m, options) * 1.25, free, 64 * kEps));
  }
}

TEST(PolarNorm, AolConvergesToThePolarFactorOfTheRescaledMatrix) {
  const at::Tensor m = random_tensor({48, 96}, 75);
  const at::Tensor scaled = polar_factor(m, nothing(PolarNorm::kAol));
  const at::Tensor expected =
      polar_factor(scaled, {.method = PolarMethod::kSvd});
  for (const char* table : {"aol-turbo", "aol-dion"}) {
    PolarOptions options = {
        .coefficients = table, .steps = 4, .norm = PolarNorm::kAol};
    // Turbo-Muon leaves what it lifts in [.866, 1.084], dion in [.941, 1.050].
    EXPECT_LE(error_per_direction(polar_factor(m, options), expected), 0.134);
    options.method = PolarMethod::kGram;
    EXPECT_LE(error_per_direction(polar_factor(m, options), expected), 0.134);
    options.norm = PolarNorm::kFrobenius;
    expect_error(ErrorKind::kInvalidArgument, {table, "aol", "polar_norm"},
                 [&] { (void)polar_factor(m, options); });
  }
  // A frobenius table behind aol is fine: it has more room than it needs.
  EXPECT_LE(error_per_direction(polar_factor(m, {.coefficients = "taylor",
                                                 .steps = 12,
                                                 .norm = PolarNorm::kAol}),
                                expected),
            1e-6);
}

TEST(PolarNorm, FollowsTransposesOfWhatIsNotSquare) {
  for (const Shape& shape : kShapes) {
    const at::Tensor m = random_tensor({shape.rows, shape.columns}, 76);
    const double bound = 4 * gram_bound(polar_table("keller"), 5, shape, kEps);
    for (const PolarNorm norm : kNorms) {
      if (norm == PolarNorm::kAol && shape.rows == shape.columns) continue;
      for (const PolarMethod method :
           {PolarMethod::kNewtonSchulz, PolarMethod::kGram}) {
        const PolarOptions options = {
            .method = method, .eps = 1e-30, .norm = norm};
        const at::Tensor f = polar_factor(m, options);
        EXPECT_TRUE(close(polar_factor(m.t(), options), f.t(), bound));
        EXPECT_TRUE(close(polar_factor(m * 1e3, options), f, bound));
      }
    }
  }
}

std::vector<PolarOptions> every_way() {
  std::vector<PolarOptions> all;
  for (const PolarNorm norm : kNorms) {
    for (const PolarDtype dtype : {PolarDtype::kAuto, PolarDtype::kBFloat16,
                                   PolarDtype::kBFloat16Master}) {
      all.push_back({.dtype = dtype, .norm = norm});
    }
    for (const PolarDtype dtype :
         {PolarDtype::kAuto, PolarDtype::kBFloat16, PolarDtype::kMixed}) {
      all.push_back(
          {.method = PolarMethod::kGram, .dtype = dtype, .norm = norm});
    }
  }
  all.push_back({.method = PolarMethod::kSvd});
  all.push_back({.method = PolarMethod::kQdwh});
  return all;
}

TEST(PolarNorm, OfZeroIsZeroEverywhere) {
  for (PolarOptions options : every_way()) {
    for (const double eps : {1e-7, 1e-300}) {  // the second is 0 in float32
      options.eps = eps;
      for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
        const at::Tensor f = polar_factor(torch::zeros({3, 5}, type), options);
        EXPECT_TRUE(f.eq(0).all().item<bool>());
        at::Tensor batch = random_tensor({3, 3, 5}, 77).to(type);
        batch.select(0, 1).zero_();
        const at::Tensor many = polar_factor(batch, options);
        EXPECT_TRUE(many.isfinite().all().item<bool>());
        EXPECT_TRUE(many.select(0, 1).eq(0).all().item<bool>());
        EXPECT_TRUE(many.select(0, 2).ne(0).any().item<bool>());
      }
    }
  }
}

TEST(PolarNorm, DoesNotMindTheSizeOfTheEntries) {
  const at::Tensor m = random_tensor({6, 14}, 78).to(at::kFloat);
  for (PolarOptions options : every_way()) {
    // Below any size here, so that it plays no part.
    options.eps = 1e-44;
    const at::Tensor expected = polar_factor(m, options);
    const bool narrow = options.dtype != PolarDtype::kAuto;
    for (const double size : {1e-36, 1e-30, 1e-18, 1e18, 1e30, 1e37}) {
      const at::Tensor f = polar_factor(m * size, options);
      // A power of ten rounds the entries, by half an eps of their dtype.
      const double bound = narrow ? 0.1 : 1e-4;
      EXPECT_TRUE(close(f, expected, bound))
          << size << ", norm " << static_cast<int>(options.norm);
    }
    // What rounds to bfloat16 first has no digits left at 2^-140, the others
    // nine binary ones.
    const bool rounds_first = options.dtype == PolarDtype::kBFloat16 &&
                              options.method == PolarMethod::kNewtonSchulz &&
                              options.norm == PolarNorm::kFrobenius;
    if (rounds_first) continue;
    EXPECT_TRUE(close(polar_factor(m * 0x1p-140, options), expected,
                      narrow ? 0.2 : 0.1));
  }
}

TEST(PolarNorm, GivesNanThroughoutForWhatIsNotFinite) {
  for (const PolarOptions& options : every_way()) {
    for (const double bad : {kNan, kInf, -kInf}) {
      at::Tensor batch = random_tensor({3, 4, 7}, 79).to(at::kFloat);
      const at::Tensor before = polar_factor(batch, options);
      batch.index_put_({1, 2, 3}, bad);
      const at::Tensor f = polar_factor(batch, options);
      EXPECT_TRUE(f.select(0, 1).isnan().all().item<bool>());
      EXPECT_TRUE(close(f.select(0, 0), before.select(0, 0), 1e-5));
      EXPECT_TRUE(close(f.select(0, 2), before.select(0, 2), 1e-5));
      const at::Tensor single = polar_factor(batch.select(0, 1), options);
      EXPECT_TRUE(single.isnan().all().item<bool>());
    }
  }
}

TEST(PolarBatch, EqualsSingleCalls) {
  // The second is large enough for the other road of linalg::matmul.
  for (const Shape& shape : {Shape{5, 9}, {40, 64}, {33, 33}, {20, 6}}) {
    const at::Tensor batch =
        random_tensor({2, 3, shape.rows, shape.columns}, 80);
    for (const PolarOptions& options : every_way()) {
      const bool narrow = options.dtype != PolarDtype::kAuto;
      const at::Tensor argument = narrow ? batch.to(at::kFloat) : batch;
      const at::Tensor f = polar_factor(argument, options);
      ASSERT_EQ(f.sizes(), batch.sizes());
      for (std::int64_t i = 0; i < 2; ++i) {
        for (std::int64_t j = 0; j < 3; ++j) {
          const at::Tensor one = polar_factor(argument[i][j], options);
          // bfloat16: a product that rounds the other way, lifted.
          EXPECT_LE(error_per_direction(f[i][j], one), narrow ? 0.05 : 1e-9);
        }
      }
    }
  }
}

TEST(PolarBatch, TakesViewsAndEmptyBatches) {
  const at::Tensor wide = random_tensor({4, 6, 10}, 81);
  const at::Tensor view = wide.transpose(1, 2).narrow(1, 1, 8);
  ASSERT_FALSE(view.is_contiguous());
  EXPECT_TRUE(
      close(polar_factor(view), polar_factor(view.contiguous()), 1e-10));
  EXPECT_EQ(polar_factor(torch::zeros({0, 3, 4})).sizes(),
            (std::vector<std::int64_t>{0, 3, 4}));
}

TEST(PolarOnCuda, AgreesWithTheCpu) {
  if (!torch::cuda::is_available()) {
    GTEST_SKIP() << "no CUDA device, or LibTorch without CUDA";
  }
  for (const PolarOptions& options : every_way()) {
    const at::Tensor batch = random_tensor({3, 48, 160}, 82).to(at::kFloat);
    const at::Tensor expected = polar_factor(batch, options);
    const bool narrow = options.dtype != PolarDtype::kAuto;
    for (const at::Tensor& m : {batch, batch.select(0, 0)}) {
      const at::Tensor f = polar_factor(m.to(at::kCUDA), options);
      EXPECT_TRUE(f.is_cuda());
      const at::Tensor other = m.dim() == 3 ? expected : expected.select(0, 0);
      EXPECT_LE(
          error_per_direction(f.cpu().flatten(0, -2), other.flatten(0, -2)),
          narrow ? 0.1 : 1e-3);
    }
  }
}

}  // namespace
}  // namespace muonlab
