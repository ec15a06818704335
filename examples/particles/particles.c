// Moves and draws particles. There is no allocator here: the host says where everything lies.
typedef struct {
  float *x, *y, *vx, *vy, *life; // one array for each field
} Particles;

static const float *wind; // by height, kept from call to call
static int layers;

void set_wind(const float *table, int count) {
  wind = table;
  layers = count;
}

/// Moves all by `dt` seconds and takes out those whose life is over; returns how many are left.
int step(const Particles *p, int count, float dt) {
  int left = 0;
  for (int i = 0; i < count; i++) {
    float life = p->life[i] - dt;
    if (life <= 0) continue;
    int layer = (int)p->y[i];
    layer = layer < 0 ? 0 : layer >= layers ? layers - 1 : layer;
    float vx = p->vx[i] + wind[layer] * dt;
    float vy = p->vy[i] - 9.81f * dt;
    p->x[left] = p->x[i] + vx * dt;
    p->y[left] = p->y[i] + vy * dt;
    p->vx[left] = vx;
    p->vy[left] = vy;
    p->life[left++] = life;
  }
  return left;
}

/// Counts particles in each cell of a picture of one metre a cell.
void draw(const Particles *p, int count, unsigned *cells, int width, int height) {
  for (int i = 0; i < count; i++) {
    int x = (int)p->x[i], y = (int)p->y[i];
    if (p->x[i] >= 0 && p->y[i] >= 0 && x < width && y < height) cells[(height - 1 - y) * width + x]++;
  }
}
