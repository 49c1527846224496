#include "tests/reference/coefficients.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

constexpr Coefficients kSimple = {2, -1.5, 0.5};

// arXiv 2505.16932, the rows as published. Its code divides all but the last
// row by powers of 1.01, since float errors may lift a singular value above 1.
Table polar_express() {
  std::vector<Coefficients> rows = {
      {8.28721201814563, -23.595886519098837, 17.300387312530933},
      {4.107059111542203, -2.9478499167379106, 0.5448431082926601},
      {3.9486908534822946, -2.908902115962949, 0.5518191394370137},
      {3.3184196573706015, -2.488488024314874, 0.51004894012372},
      {2.300652019954817, -1.6689039845747493, 0.4188073119525673},
      {1.891301407787398, -1.2679958271945868, 0.37680408948524835},
      {1.8750014808534479, -1.2500016453999487, 0.3750001645474248},
      {15.0 / 8, -5.0 / 4, 3.0 / 8}};
  constexpr double kSafety = 1.01;
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    rows[i].a /= kSafety;
    rows[i].b /= kSafety * kSafety * kSafety;
    rows[i].c /= kSafety * kSafety * kSafety * kSafety * kSafety;
  }
  return {rows, kSafety};
}

// 1024ths, as its author gives them.
Table you6() {
  std::vector<Coefficients> rows = {{3955, -8306, 5008}, {3735, -6681, 3463},
                                    {3799, -6499, 3211}, {4019, -6385, 2906},
                                    {2677, -3029, 1162}, {2172, -1833, 682}};
  for (Coefficients& row : rows) {
    row = {row.a / 1024, row.b / 1024, row.c / 1024};
  }
  return {rows};
}

// Of modded-nanogpt; nanochat differs in the safety alone.
std::vector<Coefficients> modded() {
  return {{8.156554524902461, -22.48329292557795, 15.878769915207462},
          {4.042929935166739, -2.808917465908714, 0.5000178451051316},
          {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
          {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
          {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}};
}

Table deepseek_v4() {
  std::vector<Coefficients> rows(8, kKeller);
  rows.push_back(kSimple);
  return {rows};
}

const std::map<std::string, Table>& tables() {
  static const std::map<std::string, Table> all = {
      {"keller", {{kKeller}}},
      {"taylor", {{kTaylor}}},
      {"cubic", {{{1.5, -0.5, 0}}}},
      {"simple", {{kSimple}}},
      {"su1", {{{3.3748, -4.6969, 2.1433}}}},
      {"you5",
       {{{4.0848, -6.8946, 2.9270},
         {3.9505, -6.3029, 2.6377},
         {3.7418, -5.5913, 2.3037},
         {2.8769, -3.1427, 1.2046},
         {2.8366, -3.0525, 1.2012}}}},
      {"you6", you6()},
      {"su-x3",
       {{{4.6182, -12.9582, 9.3299},
         {3.8496, -7.9585, 4.3052},
         {3.5204, -7.2918, 4.0606},
         {3.2067, -6.8243, 4.2802},
         {3.2978, -5.7848, 3.8917}}}},
      {"polar-express", polar_express()},
      {"polar-express-modded", {modded(), 1.02}},
      {"polar-express-nanochat", {modded(), 1.01}},
      {"polar-express-eo",
       {{{8.2051, -22.9019, 16.4607},
         {4.0664, -2.8612, 0.5184},
         {3.9096, -2.8234, 0.5250},
         {3.2856, -2.4153, 0.4853},
         {2.2779, -1.6198, 0.3985},
         {1.8726, -1.2307, 0.3585},
         {1.8564, -1.2132, 0.3568},
         {1.8750, -1.2500, 0.3750}}}},
      {"cubic5",
       {{{3.3656576, -3.3420992, 0},
         {2.5744352, -1.4957376, 0},
         {2.5368962, -1.4312570, 0},
         {2.4418906, -1.2764040, 0},
         {2.2230472, -0.9630650, 0}}}},
      {"aol-turbo",
       {{{4.0098, -7.0585, 2.4635},
         {3.4585, -5.5479, 2.5959},
         {2.7573, -3.2939, 1.4254},
         {2.7215, -3.0494, 1.3169}}}},
      {"aol-dion",
       {{{4.6051, -9.6552, 5.6769},
         {4.7505, -6.0861, 2.1790},
         {2.7763, -2.3190, 0.5523},
         {2.4231, -2.2861, 0.8193}}}},
      {"polar-express-dao",
       {{{7.8925828744, -20.3830139459, 13.5553061494},
         {3.9114848681, -2.5464635929, 0.4268988320},
         {3.7606579557, -2.5128190182, 0.4323647349},
         {3.1603996737, -2.1496495189, 0.3996366908},
         {2.1910971619, -1.4416620102, 0.3281464876}}}},
      {"cans",
       {{{8.470328803848, -25.108074706662, 18.629275599118},
         {4.182834183294, -3.108701109889, 0.580606681350},
         {3.961857278962, -2.954063746359, 0.562976117954},
         {3.286586217028, -2.464720134531, 0.507357693861},
         {2.273749994434, -1.644660367908, 0.416190927498}}}},
      {"deepseek-v4", deepseek_v4()}};
  return all;
}

}  // namespace

Table coefficient_table(const std::string& name) {
  const auto found = tables().find(name);
  if (found == tables().end()) {
    throw std::invalid_argument("replay: no coefficients " + name);
  }
  return found->second;
}

std::vector<std::string> coefficient_names() {
  std::vector<std::string> names;
  for (const auto& [name, table] : tables()) names.push_back(name);
  return names;
}

std::vector<double> row_norms(const Matrix& m, const std::string& norm) {
  if (norm == "frobenius") {
    return std::vector<double>(m.rows, frobenius_norm(m));
  }
  const Matrix gram = multiply(m, transpose(m));
  if (norm == "schatten-4") {
    return std::vector<double>(m.rows, std::sqrt(frobenius_norm(gram)));
  }
  if (norm != "aol") throw std::invalid_argument("replay: polar_norm " + norm);
  std::vector<double> norms(m.rows);
  for (std::size_t i = 0; i < m.rows; ++i) {
    for (std::size_t j = 0; j < m.rows; ++j) {
      norms[i] += std::abs(gram.at(i, j));
    }
    norms[i] = std::sqrt(norms[i]);
  }
  return norms;
}

Matrix newton_schulz(const Matrix& m, const Table& table, int steps, double eps,
                     bool clamp, const std::string& norm) {
  if (m.rows > m.columns) {
    return transpose(
        newton_schulz(transpose(m), table, steps, eps, clamp, norm));
  }
  const std::vector<double> norms = row_norms(m, norm);
  Matrix x = m;
  for (std::size_t i = 0; i < m.rows; ++i) {
    const double scaled = table.safety * norms[i];
    const double divisor = clamp ? std::max(scaled, eps) : scaled + eps;
    if (divisor == 0) continue;
    for (std::size_t j = 0; j < m.columns; ++j) x.at(i, j) /= divisor;
  }
  for (int step = 0; step < steps; ++step) {
    const std::size_t last = table.rows.size() - 1;
    const Coefficients& k =
        table.rows[std::min(static_cast<std::size_t>(step), last)];
    const Matrix gram = multiply(x, transpose(x));
    const Matrix cubic = multiply(gram, x);
    const Matrix quintic = multiply(gram, cubic);
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      x.values[i] =
          k.a * x.values[i] + k.b * cubic.values[i] + k.c * quintic.values[i];
    }
  }
  return x;
}

Matrix polar(const Settings& s, const Matrix& a) {
  const std::string method = s.text("polar_method");
  // QDWH is another way to the same value.
  if (method == "svd" || method == "qdwh") return polar_factor(a);
  const std::string mode = s.text("polar_eps_mode");
  // So is the Gram form, which runs the same polynomials.
  if ((method != "newton-schulz" && method != "gram") ||
      (mode != "add" && mode != "clamp")) {
    throw std::invalid_argument("replay: polar_method or polar_eps_mode");
  }
  return newton_schulz(a, coefficient_table(s.text("polar_coefficients")),
                       static_cast<int>(s.number("polar_steps")),
                       s.number("polar_eps"), mode == "clamp",
                       s.text("polar_norm"));
}

}  // namespace muonlab::reference
