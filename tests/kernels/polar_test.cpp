// The packed iterations against the same iteration in float64.
#include "muonlab/kernels/polar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "muonlab/kernels/simd_level.h"
#include "tests/support/expect_error.h"

namespace muonlab::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr PolarStep kKeller = {3.4445F, -4.7750F, 2.0315F};
constexpr PolarStep kCubic = {1.5F, -0.5F, 0};

struct Matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<float> values;
};

Matrix gaussian(std::size_t rows, std::size_t columns, unsigned seed = 1) {
  Matrix m{rows, columns, std::vector<float>(rows * columns)};
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& x : m.values) x = normal(random);
  return m;
}

// Column j times 10^(-4 j / (columns - 1)): condition some 1e4 and more.
Matrix ill_conditioned(std::size_t rows, std::size_t columns) {
  Matrix m = gaussian(rows, columns, 2);
  const std::size_t n = std::min(rows, columns);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      const auto k = static_cast<double>(rows <= columns ? i : j);
      m.values[i * columns + j] *= static_cast<float>(std::pow(
          10.0, -4 * k / static_cast<double>(std::max<std::size_t>(n - 1, 1))));
    }
  }
  return m;
}

Matrix rank_deficient(std::size_t rows, std::size_t columns) {
  Matrix m = gaussian(rows, columns, 3);
  // Every row from the fourth on is the one three before, times 0.5.
  for (std::size_t i = 3; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      m.values[i * columns + j] = 0.5F * m.values[(i - 3) * columns + j];
    }
  }
  return m;
}

// Plain loops in double.
std::vector<double> iterated(const Matrix& m, const PolarSchedule& s) {
  const bool tall = m.rows > m.columns;
  const std::size_t n = std::min(m.rows, m.columns);
  const std::size_t w = std::max(m.rows, m.columns);
  std::vector<double> x(n * w);
  double norm = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < w; ++j) {
      x[i * w + j] = tall ? m.values[j * n + i] : m.values[i * w + j];
      norm += x[i * w + j] * x[i * w + j];
    }
  }
  const double by = s.normalise ? s.safety * std::sqrt(norm) + s.eps : 1;
  for (double& v : x) v /= by;
  for (const PolarStep& step : s.steps) {
    std::vector<double> a(n * n, 0);
    std::vector<double> z(n * n, 0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t k = 0; k < w; ++k) {
          a[i * n + j] += x[i * w + k] * x[j * w + k];
        }
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) {
        for (std::size_t j = 0; j < n; ++j) {
          z[i * n + j] +=
              static_cast<double>(step.c) * a[i * n + k] * a[k * n + j];
        }
      }
      for (std::size_t j = 0; j < n; ++j) {
        z[i * n + j] += static_cast<double>(step.b) * a[i * n + j];
      }
      z[i * n + i] += step.a;
    }
    std::vector<double> next(n * w, 0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) {
        for (std::size_t j = 0; j < w; ++j) {
          next[i * w + j] += z[i * n + k] * x[k * w + j];
        }
      }
    }
    x.swap(next);
  }
  std::vector<double> out(n * w);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < w; ++j) {
      out[tall ? j * n + i : i * w + j] = x[i * w + j];
    }
  }
  return out;
}

// A job that reads and writes row-major memory whose rows end in NaN.
class Problem {
 public:
  explicit Problem(const Matrix& m)
      : m_(m),
        stride_(m.columns + 5),
        in_(m.rows * stride_, kNan),
        out_(m.rows * stride_, kNan) {
    for (std::size_t r = 0; r < m.rows; ++r) {
      std::copy_n(m.values.begin() + static_cast<std::ptrdiff_t>(r * m.columns),
                  m.columns,
                  in_.begin() + static_cast<std::ptrdiff_t>(r * stride_));
    }
    view_ = {in_.data(), stride_};
  }
  [[nodiscard]] PolarJob job() {
    PolarJob job;
    job.rows = m_.rows;
    job.columns = m_.columns;
    job.source = {fill_from_matrix, &view_};
    job.out = out_.data();
    job.out_stride = stride_;
    return job;
  }
  [[nodiscard]] std::vector<float> factor() const {
    std::vector<float> values;
    for (std::size_t r = 0; r < m_.rows; ++r) {
      for (std::size_t c = 0; c < m_.columns; ++c) {
        values.push_back(out_[r * stride_ + c]);
      }
      for (std::size_t c = m_.columns; c < stride_; ++c) {
        EXPECT_TRUE(std::isnan(out_[r * stride_ + c]))
            << "written beyond a row";
      }
    }
    return values;
  }

 private:
  Matrix m_;
  std::size_t stride_;
  std::vector<float> in_, out_;
  MatrixView view_;
};

std::vector<float> factor_of(const Matrix& m, const PolarSchedule& s,
                             SimdLevel level, std::size_t threads = 1) {
  Problem problem(m);
  const PolarJob job = problem.job();
  polar_factors({&job, 1}, s, core::shared_pool(threads), level);
  return problem.factor();
}

double distance(const Matrix& m, const std::vector<float>& got,
                const std::vector<double>& expected) {
  double sum = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = static_cast<double>(got[i]) - expected[i];
    sum += d * d;
  }
  return std::sqrt(sum / static_cast<double>(std::min(m.rows, m.columns)));
}

PolarSchedule schedule(PolarForm form, PolarPrecision precision,
                       std::vector<std::size_t> restarts = {},
                       std::size_t steps = 5, PolarStep step = kKeller) {
  PolarSchedule s;
  s.form = form;
  s.precision = precision;
  s.steps.assign(steps, step);
  s.restarts = std::move(restarts);
  return s;
}

const PolarSchedule kFloat =
    schedule(PolarForm::kStandard, PolarPrecision::kFloat32);
const PolarSchedule kGramFloat =
    schedule(PolarForm::kGram, PolarPrecision::kFloat32, {2});
const PolarSchedule kHalf =
    schedule(PolarForm::kStandard, PolarPrecision::kBFloat16);
const PolarSchedule kMaster =
    schedule(PolarForm::kStandard, PolarPrecision::kBFloat16Master);
const PolarSchedule kMixed =
    schedule(PolarForm::kGram, PolarPrecision::kMixed, {2});

class Polar : public ::testing::TestWithParam<SimdLevel> {};

// The bounds that the project promises for five Keller steps; standard bfloat16
// may lose small singular directions, so it has the ill-conditioned bound.
TEST_P(Polar, FiveKellerStepsAreThoseOfFloat64) {
  struct Case {
    const char* name;
    const PolarSchedule& schedule;
    double gaussian, hard;
  };
  const Case cases[] = {{"float32 standard", kFloat, 1e-5, 1e-5},
                        {"float32 gram", kGramFloat, 2e-4, 2e-4},
                        {"bfloat16 master", kMaster, 0.03, 0.03},
                        {"bfloat16 standard", kHalf, 0.03, 0.12},
                        {"mixed gram", kMixed, 0.03, 0.12}};
  const std::pair<std::size_t, std::size_t> shapes[] = {
      {1, 1},   {1, 9},   {9, 1},   {3, 5},    {16, 16},
      {17, 40}, {40, 17}, {64, 64}, {67, 131}, {130, 65}};
  for (const auto& [rows, columns] : shapes) {
    const Matrix inputs[] = {gaussian(rows, columns),
                             ill_conditioned(rows, columns),
                             rank_deficient(rows, columns)};
    for (std::size_t i = 0; i < 3; ++i) {
      for (const Case& c : cases) {
        const double error =
            distance(inputs[i], factor_of(inputs[i], c.schedule, GetParam()),
                     iterated(inputs[i], c.schedule));
        // The bounds are means over n directions; of a few, one may weigh
        // sqrt(n) times as much.
        const auto n = static_cast<double>(std::min(rows, columns));
        const double few = n < 16 ? std::sqrt(n) : 1;
        EXPECT_LE(error, few * (i == 0 ? c.gaussian : c.hard))
            << c.name << ", " << rows << "x" << columns << ", input " << i;
      }
    }
  }
}

TEST_P(Polar, OneGramStepIsOneStandardStep) {
  for (const auto& [rows, columns] :
       {std::pair<std::size_t, std::size_t>{33, 70}, {70, 33}, {48, 48}}) {
    const Matrix m = gaussian(rows, columns);
    const PolarSchedule one =
        schedule(PolarForm::kGram, PolarPrecision::kFloat32, {}, 1);
    // Both round O(n) sums of numbers near 1.
    const double bound = 10 * 70 * std::numeric_limits<float>::epsilon();
    EXPECT_LE(distance(m, factor_of(m, one, GetParam()), iterated(m, one)),
              bound);
  }
}

TEST_P(Polar, CubicStepsSkipTheSquare) {
  const Matrix m = gaussian(40, 90);
  for (const PolarForm form : {PolarForm::kStandard, PolarForm::kGram}) {
    const PolarSchedule s =
        schedule(form, PolarPrecision::kFloat32, {}, 12, kCubic);
    EXPECT_LE(distance(m, factor_of(m, s, GetParam()), iterated(m, s)), 1e-4);
  }
}

TEST_P(Polar, TallIsTheTransposeOfWideToTheBit) {
  const Matrix wide = gaussian(35, 83);
  Matrix tall{83, 35, std::vector<float>(35 * 83)};
  for (std::size_t i = 0; i < 35; ++i) {
    for (std::size_t j = 0; j < 83; ++j) {
      tall.values[j * 35 + i] = wide.values[i * 83 + j];
    }
  }
  // Without the norm: its sum runs in another order.
  for (PolarSchedule s : {kFloat, kMixed, kMaster}) {
    s.normalise = false;
    Matrix small_wide = wide;
    Matrix small_tall = tall;
    for (float& x : small_wide.values) x *= 0.01F;
    for (float& x : small_tall.values) x *= 0.01F;
    const auto a = factor_of(small_wide, s, GetParam());
    const auto b = factor_of(small_tall, s, GetParam());
    for (std::size_t i = 0; i < 35; ++i) {
      for (std::size_t j = 0; j < 83; ++j) {
        ASSERT_EQ(a[i * 83 + j], b[j * 35 + i]) << i << "," << j;
      }
    }
  }
}

TEST_P(Polar, ThreadsDoNotChangeABit) {
  std::vector<Matrix> matrices = {gaussian(100, 60, 1),  gaussian(20, 300, 2),
                                  gaussian(5, 5, 3),     gaussian(64, 64, 4),
                                  gaussian(520, 530, 5), gaussian(1, 40, 6),
                                  gaussian(90, 90, 7)};
  for (const PolarSchedule& s : {kFloat, kMixed, kHalf}) {
    std::vector<std::vector<float>> alone;
    for (const Matrix& m : matrices) {
      if (m.rows > 500 && GetParam() == SimdLevel::kScalar) {
        alone.emplace_back();
        continue;
      }
      alone.push_back(factor_of(m, s, GetParam()));
    }
    for (const std::size_t threads : {2U, 3U}) {
      std::deque<Problem> problems;
      std::vector<std::size_t> taken;
      std::vector<PolarJob> jobs;
      for (std::size_t i = 0; i < matrices.size(); ++i) {
        if (alone[i].empty()) continue;
        jobs.push_back(problems.emplace_back(matrices[i]).job());
        taken.push_back(i);
      }
      polar_factors(jobs, s, core::shared_pool(threads), GetParam());
      for (std::size_t i = 0; i < problems.size(); ++i) {
        EXPECT_EQ(problems[i].factor(), alone[taken[i]]) << threads;
      }
    }
  }
}

TEST_P(Polar, ZeroGivesZeroAndNanStaysInItsMatrix) {
  Matrix zero = gaussian(20, 30);
  std::fill(zero.values.begin(), zero.values.end(), 0.0F);
  Matrix nan = gaussian(20, 30);
  nan.values[37] = kNan;
  Matrix inf = gaussian(30, 20);
  inf.values[11] = std::numeric_limits<float>::infinity();
  const Matrix fine = gaussian(25, 25);
  for (const PolarSchedule& s : {kFloat, kGramFloat, kHalf, kMaster, kMixed}) {
    Problem problems[] = {Problem(zero), Problem(nan), Problem(inf),
                          Problem(fine)};
    const PolarJob jobs[] = {problems[0].job(), problems[1].job(),
                             problems[2].job(), problems[3].job()};
    polar_factors(jobs, s, core::shared_pool(2), GetParam());
    for (const float x : problems[0].factor()) EXPECT_EQ(x, 0.0F);
    for (const float x : problems[1].factor()) EXPECT_TRUE(std::isnan(x));
    for (const float x : problems[2].factor()) EXPECT_TRUE(std::isnan(x));
    EXPECT_EQ(problems[3].factor(), factor_of(fine, s, GetParam()));
  }
}

// Times a power of two nothing may change, as long as eps does not matter.
TEST_P(Polar, ScaleDoesNotMatterNorDoHugeAndTinyEntries) {
  const Matrix m = gaussian(24, 50);
  for (PolarSchedule s : {kFloat, kGramFloat, kHalf, kMaster, kMixed}) {
    s.eps = 1e-45;
    const auto expected = factor_of(m, s, GetParam());
    for (const int exponent : {-100, -60, -7, 3, 60, 115}) {
      Matrix scaled = m;
      for (float& x : scaled.values) x = std::ldexp(x, exponent);
      EXPECT_LE(distance(m, factor_of(scaled, s, GetParam()),
                         {expected.begin(), expected.end()}),
                1e-5)
          << "2^" << exponent;
    }
  }
}

TEST_P(Polar, FinishSeesTheFactorWithoutAnOutput) {
  const Matrix m = gaussian(75, 40);
  struct Seen {
    std::vector<float> values;
    std::atomic<std::size_t> rows{0};
  } seen;
  seen.values.assign(75 * 40, kNan);
  Problem problem(m);
  PolarJob job = problem.job();
  job.out = nullptr;
  job.finish_context = &seen;
  job.finish = [](void* context, const float* factor, std::size_t stride,
                  std::size_t row, std::size_t rows) {
    auto* to = static_cast<Seen*>(context);
    for (std::size_t r = row; r < row + rows; ++r) {
      std::copy_n(factor + r * stride, 40, to->values.data() + r * 40);
    }
    to->rows += rows;
  };
  polar_factors({&job, 1}, kFloat, core::shared_pool(2), GetParam());
  EXPECT_EQ(seen.rows, 75U);
  EXPECT_EQ(seen.values, factor_of(m, kFloat, GetParam()));
}

std::string level_name(const ::testing::TestParamInfo<SimdLevel>& info) {
  std::string name(simd_level_name(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Levels, Polar,
                         ::testing::ValuesIn(available_simd_levels().begin(),
                                             available_simd_levels().end()),
                         level_name);

TEST(PolarSchedule, WhatDoesNotFitIsRefusedBeforeAnythingIsWritten) {
  const Matrix m = gaussian(4, 4);
  const auto refused = [&](const PolarSchedule& s, const std::string& words) {
    Problem problem(m);
    const PolarJob job = problem.job();
    testing::expect_error(ErrorKind::kInvalidArgument, {words}, [&] {
      polar_factors({&job, 1}, s, core::shared_pool(1), SimdLevel::kScalar);
    });
    for (const float x : problem.factor()) EXPECT_TRUE(std::isnan(x));
  };
  refused(schedule(PolarForm::kStandard, PolarPrecision::kFloat32, {}, 0),
          "no steps");
  refused(schedule(PolarForm::kStandard, PolarPrecision::kMixed),
          "needs the Gram form");
  refused(schedule(PolarForm::kGram, PolarPrecision::kBFloat16Master),
          "standard form");
  refused(schedule(PolarForm::kStandard, PolarPrecision::kFloat32, {2}),
          "restarts");
  Problem problem(m);
  PolarJob job = problem.job();
  job.rows = std::numeric_limits<std::size_t>::max() / 8;
  testing::expect_error(ErrorKind::kInvalidArgument, {"too large"}, [&] {
    polar_factors({&job, 1}, kFloat, core::shared_pool(1), SimdLevel::kScalar);
  });
}

TEST(PolarSchedule, AnEmptyMatrixIsNoWorkAndHoldsUpNoOther) {
  // Neither source nor output: touching either would crash.
  PolarJob wide;
  wide.columns = 5;
  PolarJob tall;
  tall.rows = 5;
  const Matrix m = gaussian(7, 9);
  Problem problem(m);
  const PolarJob jobs[] = {wide, problem.job(), tall, PolarJob{}};
  polar_factors(jobs, kFloat, core::shared_pool(2), SimdLevel::kScalar);
  EXPECT_EQ(problem.factor(), factor_of(m, kFloat, SimdLevel::kScalar));
  EXPECT_NO_THROW(
      polar_factors({}, kFloat, core::shared_pool(2), SimdLevel::kScalar));
}

// The counts of the literature, in n^3 with m = 4n.
TEST(PolarFlops, CountSymmetricProductsOnce) {
  const auto of = [](const PolarSchedule& s) {
    const PolarFlops f = polar_flops(100, 400, s);
    return std::pair(f.float32 / 1e6, f.bfloat16 / 1e6);
  };
  EXPECT_EQ(of(kFloat), std::pair(65.0, 0.0));
  EXPECT_EQ(of(kHalf), std::pair(0.0, 65.0));
  EXPECT_EQ(of(kGramFloat), std::pair(38.0, 0.0));
  EXPECT_EQ(of(kMixed), std::pair(14.0, 24.0));
  EXPECT_EQ(of(schedule(PolarForm::kGram, PolarPrecision::kMixed)),
            std::pair(17.0, 12.0));
}

}  // namespace
}  // namespace muonlab::kernels
