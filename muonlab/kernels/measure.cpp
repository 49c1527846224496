#include "muonlab/kernels/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/kernels/elementwise_list.h"
#include "muonlab/kernels/peak.h"
#include "muonlab/kernels/product.h"
#include "muonlab/kernels/product_tables_internal.h"

namespace muonlab::kernels {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

constexpr std::size_t kRepetitions = 5;
constexpr std::size_t kMostRepetitions = 1000;
constexpr double kLong = 1;  // seconds of a repetition that is enough alone

// Shorter than this, a repetition is several calls: about the length of the
// burst beside it.
constexpr double kRepetitionSeconds = 2e-3;

bool enough(std::size_t repetitions, double last, Clock::time_point begin,
            const Effort& effort) {
  if (repetitions >= kMostRepetitions || last > kLong) return true;
  return repetitions >= kRepetitions && since(begin) >= effort.seconds;
}

// `seconds_of(calls)` makes that many calls.
Measured measured(const PolarFlops& flops, core::ThreadPool& pool,
                  SimdLevel level, const Effort& effort,
                  const std::function<double(std::size_t calls)>& seconds_of) {
  PeakMeter wide(pool, level, Element::kFloat32);
  PeakMeter narrow(pool, level, Element::kBFloat16);
  (void)seconds_of(1);  // warms caches and wakes threads
  const double once = std::max(seconds_of(1), 1e-9);
  const auto calls =
      static_cast<std::size_t>(std::clamp(kRepetitionSeconds / once, 1.0, 1e5));
  std::vector<double> times;
  std::vector<double> shares;
  const auto seconds_at_peak = [&] {
    double seconds = 0;
    if (flops.float32 > 0) seconds += flops.float32 / wide.burst();
    if (flops.bfloat16 > 0) seconds += flops.bfloat16 / narrow.burst();
    return seconds;
  };
  const Clock::time_point begin = Clock::now();
  double before = seconds_at_peak();
  do {
    times.push_back(seconds_of(calls) / static_cast<double>(calls));
    // The faster neighbour: another process can only hold a burst up.
    const double after = seconds_at_peak();
    shares.push_back(std::min(before, after) / times.back());
    before = after;
  } while (!enough(times.size(), times.back() * static_cast<double>(calls),
                   begin, effort));
  Measured result;
  result.repetitions = times.size();
  result.seconds = median(std::move(times));
  result.share = median(std::move(shares));
  result.flops = flops.float32 + flops.bfloat16;
  return result;
}

std::vector<float> gaussian(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& x : values) x = normal(random);
  return values;
}

// The operands of a product and where it goes.
class Operands {
 public:
  Operands(const ProductSize& size, Element element, core::ThreadPool& pool,
           SimdLevel level, Element result_element)
      : pool_(pool), table_(product_table(level)) {
    const PackedShape left(size.rows, size.depth, element);
    const PackedShape right(size.columns, size.depth, element);
    const PackedShape result(size.rows, size.columns, result_element);
    const std::size_t scratch = Workspace::rounded(ProductScratch::bytes());
    memory_.reserve(Workspace::rounded(left.bytes()) +
                    Workspace::rounded(right.bytes()) +
                    Workspace::rounded(result.bytes()) + pool.size() * scratch);
    for (std::size_t rank = 0; rank < pool.size(); ++rank) {
      scratch_.push_back(
          {reinterpret_cast<float*>(memory_.take(ProductScratch::bytes()))});
    }
    product_.left = memory_.take(left);
    fill(product_.left, 1);
    product_.right = product_.left;
    if (!size.symmetric) {
      product_.right = memory_.take(right);
      fill(product_.right, 2);
    }
    product_.symmetric = size.symmetric;
    result_ = memory_.take(result);
    product_.targets[0] = {.same = &result_};
    product_.target_count = 1;
  }
  Operands(const Operands&) = delete;  // product_ points to result_
  Operands& operator=(const Operands&) = delete;

  // Of a result in float32.
  [[nodiscard]] float result(std::size_t row, std::size_t column) const {
    float value = 0;
    std::memcpy(
        &value,
        result_.line(row / kPanel, column) + row % kPanel * sizeof(float),
        sizeof value);
    return value;
  }

  double seconds_of(std::size_t calls) {
    TeamState state(pool_.size());
    core::Barrier together(pool_.size());
    // Of each thread: one that loses its core here must not start the clock
    // when the others are far ahead.
    std::vector<Clock::time_point> begins(pool_.size());
    double seconds = 0;
    pool_.run([&](std::size_t rank) {
      Team team(state, rank);
      together.wait();
      begins[rank] = Clock::now();
      for (std::size_t i = 0; i < calls; ++i) {
        multiply(team, table_, product_, scratch_[rank]);
      }
      together.wait();
      if (rank == 0) {
        seconds = since(*std::min_element(begins.begin(), begins.end()));
      }
    });
    return seconds;
  }

  [[nodiscard]] static std::vector<float> values(std::size_t rows,
                                                 std::size_t depth,
                                                 unsigned seed) {
    return gaussian(rows * depth, seed);
  }

 private:
  void fill(const Packed& to, unsigned seed) {
    const std::size_t rows = to.shape.rows();
    const std::size_t depth = to.shape.depth();
    const std::vector<float> from = values(rows, depth, seed);
    MatrixView view{from.data(), depth};
    std::vector<double> sums(pack_parts(rows, depth));
    Packing packing;
    packing.source = {fill_from_matrix, &view};
    packing.rows = rows;
    packing.columns = depth;
    packing.targets[0] = {.same = &to};
    packing.target_count = 1;
    packing.partial_sums = sums.data();
    TeamState state(1);
    Team team(state, 0);
    (void)pack(team, table_, packing, scratch_[0]);
  }

  core::ThreadPool& pool_;
  const ProductTable& table_;
  Workspace memory_;
  std::vector<ProductScratch> scratch_;
  Packed result_;
  Product product_;
};

class PolarCase {
 public:
  PolarCase(std::size_t rows, std::size_t columns)
      : in_(gaussian(rows * columns, 3)), out_(rows * columns) {
    view_ = {in_.data(), columns};
    job_.rows = rows;
    job_.columns = columns;
    job_.source = {fill_from_matrix, &view_, /*repeatable=*/true};
    job_.out = out_.data();
    job_.out_stride = columns;
  }
  PolarCase(const PolarCase&) = delete;
  PolarCase& operator=(const PolarCase&) = delete;

  void run(const PolarSchedule& schedule, core::ThreadPool& pool,
           SimdLevel level) {
    polar_factors({&job_, 1}, schedule, pool, level);
  }
  [[nodiscard]] const std::vector<float>& in() const { return in_; }
  [[nodiscard]] const std::vector<float>& out() const { return out_; }

 private:
  std::vector<float> in_;
  std::vector<float> out_;
  MatrixView view_;
  PolarJob job_;
};

// Large arrays that the threads write first, each the parts it will work on.
class Arrays {
 public:
  Arrays(std::size_t values, core::ThreadPool& pool) : values_(values) {
    for (Array& array : arrays_) {
      // Not cleared by one thread: that would put all pages beside it.
      array.reset(new float[values]);
    }
    const std::size_t sizes[] = {values};
    for_each_piece(sizes, pool, [&](const Piece& piece) {
      for (std::size_t k = 0; k < kArrays; ++k) {
        for (std::size_t i = piece.begin; i < piece.begin + piece.size; ++i) {
          arrays_[k][i] = value(k, i);
        }
      }
    });
  }
  // Small and positive, of every array another.
  [[nodiscard]] static float value(std::size_t array, std::size_t i) {
    return 0.01F * static_cast<float>(1 + (i * 7 + array * 13) % 101);
  }
  [[nodiscard]] AdamTask adam() {
    return {arrays_[0].get(), arrays_[1].get(), arrays_[2].get(),
            arrays_[3].get(), values_,          scalars()};
  }
  [[nodiscard]] ConstArray gradient() const {
    return {arrays_[1].get(), values_};
  }
  [[nodiscard]] float weight(std::size_t i) const { return arrays_[0][i]; }
  [[nodiscard]] static AdamScalars scalars() {
    AdamScalars s;
    s.beta1 = 0.9F;
    s.one_minus_beta1 = 0.1F;
    s.beta2 = 0.99F;
    s.one_minus_beta2 = 0.01F;
    s.eps = 1e-8F;
    s.coupling.keep = 0.999F;
    s.coupling.step = 1e-3F;
    return s;
  }

 private:
  static constexpr std::size_t kArrays = 4;
  using Array = std::unique_ptr<float[]>;
  std::size_t values_;
  Array arrays_[kArrays];
};

template <typename Call>
double pass_seconds(const Effort& effort, Call call) {
  std::vector<double> times;
  call();
  const Clock::time_point begin = Clock::now();
  do {
    const Clock::time_point start = Clock::now();
    call();
    times.push_back(since(start));
  } while (!enough(times.size(), times.back(), begin, effort));
  return median(std::move(times));
}

void expect(bool right, SimdLevel level, std::string_view what) {
  if (right) return;
  throw Error(ErrorKind::kInternal,
              concat("bench: ", what, " at level ", simd_level_name(level),
                     " is not what plain loops give"));
}

void check_product(Element element, bool symmetric, core::ThreadPool& pool,
                   SimdLevel level) {
  const ProductSize size{48, symmetric ? 48U : 40U, 80, symmetric};
  Operands operands(size, element, pool, level, Element::kFloat32);
  (void)operands.seconds_of(1);
  const auto a = Operands::values(size.rows, size.depth, 1);
  const auto b = Operands::values(size.columns, size.depth, symmetric ? 1 : 2);
  // Roundings of the operands, or of the sums.
  const double unit = element == Element::kFloat32 ? 1e-6 : 1.0 / 128;
  for (std::size_t i = 0; i < size.rows; ++i) {
    for (std::size_t j = 0; j < size.columns; ++j) {
      double sum = 0;
      double magnitude = 0;
      for (std::size_t k = 0; k < size.depth; ++k) {
        const double x = double{a[i * size.depth + k]} * b[j * size.depth + k];
        sum += x;
        magnitude += std::abs(x);
      }
      expect(std::abs(operands.result(i, j) - sum) <= unit * magnitude, level,
             symmetric ? "a symmetric product" : "a product");
    }
  }
}

// X = M / |M|; X <- 1.5 X - 0.5 (X X^T) X, once.
void check_polar(PolarForm form, PolarPrecision precision,
                 core::ThreadPool& pool, SimdLevel level) {
  constexpr std::size_t kRows = 24;
  constexpr std::size_t kColumns = 40;
  PolarCase polar(kRows, kColumns);
  PolarSchedule schedule;
  schedule.form = form;
  schedule.precision = precision;
  schedule.steps = {{1.5F, -0.5F, 0}};
  polar.run(schedule, pool, level);
  std::vector<double> x(polar.in().begin(), polar.in().end());
  double squares = 0;
  for (const double v : x) squares += v * v;
  for (double& v : x) v /= std::sqrt(squares);
  double off = 0;
  double length = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    std::vector<double> row(kColumns);
    for (std::size_t k = 0; k < kColumns; ++k) {
      row[k] = 1.5 * x[i * kColumns + k];
    }
    for (std::size_t j = 0; j < kRows; ++j) {
      double a = 0;
      for (std::size_t k = 0; k < kColumns; ++k) {
        a += x[i * kColumns + k] * x[j * kColumns + k];
      }
      for (std::size_t k = 0; k < kColumns; ++k) {
        row[k] -= 0.5 * a * x[j * kColumns + k];
      }
    }
    for (std::size_t k = 0; k < kColumns; ++k) {
      const double d = polar.out()[i * kColumns + k] - row[k];
      off += d * d;
      length += row[k] * row[k];
    }
  }
  const double limit = precision == PolarPrecision::kFloat32 ? 1e-5 : 2e-2;
  expect(std::sqrt(off / length) <= limit, level, "a polar factor");
}

void check_adam(core::ThreadPool& pool, SimdLevel level) {
  constexpr std::size_t kValues = 1003;
  Arrays arrays(kValues, pool);
  const AdamTask task = arrays.adam();
  adam_list({&task, 1}, pool, level);
  const AdamScalars s = Arrays::scalars();
  for (std::size_t i = 0; i < kValues; ++i) {
    const double g = Arrays::value(1, i);
    double m = Arrays::value(2, i);
    double v = Arrays::value(3, i);
    m += double{s.one_minus_beta1} * (g - m);
    v = double{s.beta2} * v + double{s.one_minus_beta2} * g * g;
    const double w = double{s.coupling.keep} * Arrays::value(0, i) -
                     double{s.coupling.step} * m / (std::sqrt(v) + s.eps);
    expect(std::abs(arrays.weight(i) - w) <= 1e-6 * (1 + std::abs(w)), level,
           "Adam's step");
  }
}

}  // namespace

double ProductSize::flops() const noexcept {
  return (symmetric ? 1.0 : 2.0) * static_cast<double>(rows) *
         static_cast<double>(columns) * static_cast<double>(depth);
}

Measured measure_product(const ProductSize& size, Element element,
                         core::ThreadPool& pool, SimdLevel level,
                         const Effort& effort) {
  Operands operands(size, element, pool, level, element);
  PolarFlops flops;
  (element == Element::kFloat32 ? flops.float32 : flops.bfloat16) =
      size.flops();
  return measured(flops, pool, level, effort, [&](std::size_t calls) {
    return operands.seconds_of(calls);
  });
}

Measured measure_polar(std::size_t rows, std::size_t columns,
                       const PolarSchedule& schedule, core::ThreadPool& pool,
                       SimdLevel level, const Effort& effort) {
  PolarCase polar(rows, columns);
  return measured(polar_flops(rows, columns, schedule), pool, level, effort,
                  [&](std::size_t calls) {
                    const Clock::time_point begin = Clock::now();
                    for (std::size_t i = 0; i < calls; ++i) {
                      polar.run(schedule, pool, level);
                    }
                    return since(begin);
                  });
}

ElementwiseTimes measure_elementwise(std::size_t values, core::ThreadPool& pool,
                                     SimdLevel level, const Effort& effort) {
  Arrays arrays(values, pool);
  const AdamTask task = arrays.adam();
  const ConstArray gradient = arrays.gradient();
  ElementwiseTimes times;
  times.adam =
      pass_seconds(effort, [&] { adam_list({&task, 1}, pool, level); });
  times.summarise = pass_seconds(
      effort, [&] { (void)summarise_list({&gradient, 1}, pool, level); });
  return times;
}

void check_kernels(core::ThreadPool& pool, SimdLevel level) {
  for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
    for (const bool symmetric : {false, true}) {
      check_product(element, symmetric, pool, level);
    }
  }
  using enum PolarPrecision;
  for (const auto precision : {kFloat32, kBFloat16, kBFloat16Master}) {
    check_polar(PolarForm::kStandard, precision, pool, level);
  }
  for (const auto precision : {kFloat32, kMixed}) {
    check_polar(PolarForm::kGram, precision, pool, level);
  }
  check_adam(pool, level);
}

}  // namespace muonlab::kernels
