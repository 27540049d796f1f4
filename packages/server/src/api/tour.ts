import type { Hono } from 'hono';
import type { ClusterFacade } from './facade.ts';
import { refuseCrossSite, requireToken } from './guard.ts';

/** The guided tour. Looking is free; what it does to the cluster needs the token like any operation. */
export function addTour(app: Hono, facade: ClusterFacade): void {
  const guards = [refuseCrossSite(), requireToken(facade.token)] as const;
  app.get('/tour', c => c.json(facade.tour.document()));
  app.post('/tour', ...guards, async c => c.json(await facade.tour.start()));
  app.delete('/tour', ...guards, async c => c.json(await facade.tour.stop()));
  app.post('/tour/chapters/:id', ...guards, async c => c.json(await facade.tour.play(c.req.param('id'))));
}
